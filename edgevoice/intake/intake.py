"""Says of each command whether it is accepted: makes announcements of it, or tells why not."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edgevoice import words
from edgevoice.announcement import Announcement, Urgency
from edgevoice.commands import (
    Command,
    InvalidCommand,
    LiveChunk,
    Replay,
    Say,
)
from edgevoice.errors import InvalidAnnouncement
from edgevoice.intake.making import build_announcement, replay_of
from edgevoice.intake.orders import apply_command, press_as_empty
from edgevoice.intake.payload import parse_payload, peek_id
from edgevoice.intake.said import MAX_REPLAYABLE, ReplayHistory
from edgevoice.intake.streams import LiveStreams
from edgevoice.outcome import EventType, Rejection
from edgevoice.speaker.chimes import NO_CHIME
from edgevoice.speaker.held import announcement as own_announcement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from edgevoice.intake.storms import RateLimiter
    from edgevoice.journal.journal import Kept
    from edgevoice.observers import Observers
    from edgevoice.speaker.speaker import Speaker
    from edgevoice.synthesis.live import LiveText
    from edgevoice.synthesis.speech import SpeechJob
    from edgevoice.synthesis.synthesis import Synthesizer

logger = logging.getLogger(__name__)


class Intake:
    """Where all commands of all sources arrive; `submit` never blocks and never raises.

    `speakers` are those that answer to each target. `keep` puts an announcement that has to survive a
    power cut on the disk, and calls back once it is there.
    """

    def __init__(  # noqa: PLR0913 - all that it stands between
        self,
        node: str,
        speakers: Mapping[str, Sequence[Speaker]],
        synthesis: Synthesizer,
        observers: Observers,
        *,
        storms: RateLimiter,
        keep: Callable[[Announcement, Say], None],
        chimes: Collection[str],
        language: str,
    ) -> None:
        self._node = node
        self._speakers = speakers
        self._synthesis = synthesis
        self._observers = observers
        self._storms = storms
        self._keep = keep
        self._language = language
        self._known = {"transport": synthesis.transports, "chime": {*chimes, NO_CHIME}}
        self._streams = LiveStreams(self._accept_live, self._known)
        self._said = ReplayHistory(synthesis.new_job)
        self._kept: dict[tuple[str, bytes], str] = {}
        self._calm: asyncio.TimerHandle | None = None
        self._closed = False

    def submit(self, command: Command) -> None:
        """Accept a command, or tell why it is not."""
        try:
            self._take(command)
        except InvalidAnnouncement as refusal:
            self._reject(command, refusal)
        except Exception:
            logger.exception("intake broke on a %s", type(command).__name__)
            self._reject(command, InvalidAnnouncement("internal error; the log has it"))

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = True
        self._streams.close()
        self._said.close()
        if self._calm is not None:
            self._calm.cancel()

    def restore(self, kept: Kept, speaker: str, left: float) -> None:
        """Say once more what was kept over a restart and has `left` seconds; nothing of it is stale."""
        command = Say(target=kept.target, payload=kept.payload, urgency=kept.urgency)
        self._kept[kept.target, kept.payload] = kept.id
        try:
            reading = parse_payload(kept.payload, kept.urgency)
        except InvalidAnnouncement:  # it was accepted once; a newer version may know better
            logger.warning("what was kept cannot be read any more", extra={"ANNOUNCEMENT_ID": kept.id})
            return
        announcement = dataclasses.replace(
            build_announcement(
                command, {**reading.values, "id": kept.id}, reading.warnings, received_monotonic=_now()
            ),
            ttl=left,
            not_before=0.0,
            repeated=True,
        )
        for one in self._speakers["all"]:
            if one.name == speaker:
                one.add(self._synthesis.new_job(announcement))

    def would_accept(self, announcement: Announcement) -> bool:
        """Whether it would be accepted now, and not suppressed because there are too many."""
        return self._storms.would_allow(announcement, announcement.topic or announcement.target, _now())

    def escalate(self, announcement: Announcement) -> None:
        """Take an alert that nobody acknowledged on to further targets."""
        insists = announcement.repeat
        for target in insists.escalate_to if insists else ():
            if target in self._speakers:
                self._add(
                    dataclasses.replace(announcement, target=target, received_monotonic=_now(), origin=None),
                    target,
                )

    def _take(self, command: Command) -> None:
        if isinstance(command, InvalidCommand):
            raise InvalidAnnouncement(command.reason, key=command.key, allowed=command.allowed)
        if self._closed:
            raise InvalidAnnouncement("shutting down")
        if command.target not in self._speakers:
            known = ", ".join(self._speakers)
            raise InvalidAnnouncement(
                f"nobody here answers to {command.target!r}", key="target", allowed=known
            )
        match command:
            case Say():
                self._say(command)
            case LiveChunk():
                self._streams.append(command)
            case Replay():
                self._replay(command)
            case _:
                for speaker in self._speakers[command.target]:
                    apply_command(speaker, command)

    def _say(self, command: Say) -> None:
        reading = parse_payload(command.payload, command.urgency, self._known)
        values = reading.values
        if command.redelivered and (name := self._kept.get((command.target, command.payload))) is not None:
            # It was kept before a crash, but the sender's side had not been told so.
            values = {"id": name, **values}
        announcement = build_announcement(command, values, reading.warnings, received_monotonic=_now())
        admitted = self._admits(announcement, command.topic or command.target)
        if admitted and announcement.urgency.rank >= Urgency.HIGH.rank:
            self._keep(announcement, command)
        elif command.acknowledge is not None:
            command.acknowledge()
        if admitted:
            self._add(announcement, command.target)

    def _add(self, announcement: Announcement, target: str) -> None:
        """Hand it to each speaker that answers to the target."""
        speech = self._synthesis.new_job(announcement)
        log = {"ANNOUNCEMENT_ID": announcement.id}
        logger.info("accepted for %s, %s", announcement.target, announcement.urgency, extra=log)
        if announcement.text is not None and not announcement.private:
            self._said.add(speech)
        self._hand_out(speech, target)

    def _hand_out(self, speech: SpeechJob, target: str) -> None:
        speech.join()  # else the first speaker, if it has no use for it, would close it for the others
        for speaker in self._speakers[target]:
            speaker.add(speech)
        speech.leave()

    def _accept_live(
        self, command: LiveChunk, values: Mapping[str, Any], warnings: tuple[str, ...], live: LiveText
    ) -> Announcement:
        announcement = build_announcement(command, values, warnings, live=live, received_monotonic=_now())
        self._add(announcement, command.target)
        return announcement

    def _replay(self, command: Replay) -> None:
        text = press_as_empty(command.payload) or "1"
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAX_REPLAYABLE):
            raise InvalidAnnouncement("no number", key="replay", allowed=f"1 to {MAX_REPLAYABLE}")
        names = {speaker.name for speaker in self._speakers[command.target]}
        targets = [target for target, those in self._speakers.items() if names & {one.name for one in those}]
        for speech in self._said.last(int(text), targets):
            announcement = replay_of(speech.announcement, command, _now())
            self._hand_out(self._said.again(speech, announcement), command.target)

    def _admits(self, announcement: Announcement, topic: str) -> bool:
        if self._storms.try_acquire(announcement, topic, _now()):
            return True
        speech = self._synthesis.new_job(announcement)
        for speaker in self._speakers[announcement.target]:
            speaker.refuse(speech, EventType.SUPPRESSED, "rate")
        self._look_for_calm()
        return False

    def _look_for_calm(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self._storms.next_wakeup(loop.time())
        if wait is not None and (self._calm is None or self._calm.when() <= loop.time()):
            self._calm = loop.call_later(max(wait, 0.1), self._speak_of_storms)

    def _speak_of_storms(self) -> None:
        now = _now()
        for storm in self._storms.finished_bursts(now):
            sentence = words.skipped(storm.count, storm.topic, self._language)
            tag = f"edgevoice-storm-{storm.topic}"[:64]
            self._add(own_announcement(sentence, storm.target, now, tag=tag), storm.target)
        self._calm = None
        self._look_for_calm()

    def _reject(self, command: Command, refusal: InvalidAnnouncement) -> None:
        logger.info("rejected: %s", refusal)
        rejection = Rejection(
            node=self._node,
            at=datetime.now(UTC),
            target=command.target,
            reason=refusal.reason,
            key=refusal.key,
            allowed=refusal.allowed,
            id=_id_of(command),
        )
        if isinstance(command, Say) and command.acknowledge is not None:
            command.acknowledge()
        self._observers.on_rejected(rejection, command.origin)


def _id_of(command: Command) -> str | None:
    if isinstance(command, LiveChunk):
        return command.id
    return peek_id(command.payload) if isinstance(command, Say) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
