"""Intake: parses, limits, stores, queues and acknowledges each command, or tells why it is not accepted.

Length: every command takes the same way, from the source to the speakers.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import uuid
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from edgevoice.announcement import DEFAULT_TTL_S, Announcement, Urgency, internal_announcement
from edgevoice.audio.chimes import NO_CHIME
from edgevoice.commands import (
    Acknowledge,
    Command,
    Digest,
    InvalidCommand,
    LiveChunk,
    Replay,
    Say,
    SetSetting,
    Stop,
)
from edgevoice.errors import InvalidAnnouncement
from edgevoice.intake.live_streams import LiveStreams
from edgevoice.intake.payload import (
    ParsedPayload,
    build_announcement,
    decode_utf8,
    parse_payload,
    payload_of,
    peek_id,
)
from edgevoice.outcome import Rejection
from edgevoice.scheduler.actions import Admission
from edgevoice.text import messages
from edgevoice.text.checks import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from edgevoice.intake.rate_limit import RateLimiter
    from edgevoice.playback.speaker import Speaker
    from edgevoice.storage.recorder import Recorder
    from edgevoice.storage.schema import PendingAnnouncement
    from edgevoice.synthesis.synthesizer import SpeechJob, Synthesizer
    from edgevoice.text.live import LiveText

logger = logging.getLogger(__name__)

#: Seconds after the start in which a redelivered message may be one that was restored: as long as a broker
#: keeps the session of a daemon that is away.
REDELIVERY_S = 600.0
#: Announcements that can be played again.
MAX_REPLAYABLE = 20
#: The newest of them whose clips are kept; an older one is synthesized again.
MAX_KEPT_CLIPS = 5


class Intake:
    """Accepts the commands of all sources; `submit` never blocks and never raises.

    `speakers` are those of each target. `persist` stores an announcement for the named speakers; its future is
    done once a power cut would not lose it, or the disk refused. `escalations` brings the alerts that were not
    acknowledged and go to further targets. `local_now` is the wall clock's time.
    """

    def __init__(  # noqa: PLR0913 - the parts it connects
        self,
        node: str,
        speakers: Mapping[str, Sequence[Speaker]],
        synthesis: Synthesizer,
        observers: Recorder,
        *,
        escalations: asyncio.Queue[Announcement],
        rate_limiter: RateLimiter,
        persist: Callable[[Announcement, bytes, Sequence[str]], asyncio.Future[None]],
        chimes: Collection[str],
        language: str,
        local_now: Callable[[], datetime],
    ) -> None:
        self._node = node
        self._speakers = speakers
        self._synthesis = synthesis
        self._observers = observers
        self._escalations = escalations
        self._rate_limiter = rate_limiter
        self._persist = persist
        self._language = language
        self._local_now = local_now
        self._known = {"transport": synthesis.transports, "chime": {*chimes, NO_CHIME}}
        self._streams = LiveStreams(self._accept_live, self._known)
        #: The last announcements, none of them private; the newest keep their clips.
        self._replayable: deque[SpeechJob] = deque(maxlen=MAX_REPLAYABLE)
        #: The ids of restored announcements by target and payload, and until when a redelivery gets them.
        self._restored: dict[tuple[str, bytes], list[tuple[str, float]]] = {}
        #: The topic of the last announcement for each target, by whose rates `explain` judges: it has no topic.
        self._last_topics: dict[str, str] = {}
        self._burst_timer: asyncio.TimerHandle | None = None
        self._closed = False

    def submit(self, command: Command) -> None:
        """Accept a command, or tell why it is not accepted."""
        try:
            self._dispatch(command)
        except InvalidAnnouncement as refusal:
            self._reject(command, refusal)
        except Exception:
            logger.exception("intake failed on a %s", type(command).__name__)
            self._reject(command, InvalidAnnouncement("internal error; the log has it"))

    async def run(self) -> None:
        """Submit the alerts that go to further targets, forever."""
        while True:
            alert = await self._escalations.get()
            for target in alert.repeat.escalate_to if alert.repeat is not None else ():
                if target in self._speakers and not self._closed:
                    escalated = dataclasses.replace(
                        alert,
                        target=target,
                        received_monotonic=_now(),
                        not_before=0.0,
                        due_at=None,
                        origin=None,
                    )
                    self._accept(escalated, payload_of(escalated), None)

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = True
        self._streams.close()
        for job in list(self._replayable)[-MAX_KEPT_CLIPS:]:
            job.release()
        if self._burst_timer is not None:
            self._burst_timer.cancel()

    def restore(self, rows: Sequence[PendingAnnouncement]) -> list[str]:
        """Submit what was stored over a restart: one announcement, a row for each speaker.

        Return the speakers that took it: none that the configuration does not have any more, and none at all if
        the payload cannot be read.
        """
        first, now = rows[0], _now()
        command = Say(target=first.target, payload=first.payload, urgency=first.urgency, topic=first.topic)
        try:
            parsed = parse_payload(command.payload, command.urgency)
        except InvalidAnnouncement:  # it was accepted once; a newer version may know better
            logger.warning(
                "a stored announcement cannot be read any more", extra={"ANNOUNCEMENT_ID": first.id}
            )
            return []
        key = (command.target, command.payload)
        self._restored.setdefault(key, []).append((first.id, now + REDELIVERY_S))
        # A time of day is read as of the arrival: by now it may have come, and be tomorrow's.
        local_now = self._local_now()
        received_at = local_now - timedelta(seconds=now - first.received)
        read = build_announcement(command, parsed, received_monotonic=first.received, local_now=received_at)
        is_to_come = first.due > now and read.due_at is not None and read.due_at > local_now
        announcement = dataclasses.replace(
            read,
            id=first.id,
            ttl=max(row.expires for row in rows) - first.due,
            not_before=first.due - first.received,
            due_at=read.due_at if is_to_come else None,
            repeated=True,
        )
        job = self._synthesis.new_job(announcement)
        taken = []
        job.join()
        for speaker in self._speakers["all"]:
            for row in rows:
                if row.speaker == speaker.name:
                    speaker.submit(job, deadline=row.expires, held_since=row.held_since)
                    taken.append(speaker.name)
        job.leave()
        return taken

    def would_accept(self, announcement: Announcement) -> bool:
        """Return whether an announcement would be accepted now, and not suppressed by the rate limits."""
        is_queued = any(
            speaker.admission(announcement) is Admission.QUEUED
            for speaker in self._speakers.get(announcement.target, ())
        )
        target = announcement.target
        topic = announcement.topic or self._last_topics.get(target, target)
        return not is_queued or self._rate_limiter.would_allow(announcement, topic, _now())

    def _dispatch(self, command: Command) -> None:
        if isinstance(command, InvalidCommand):
            raise InvalidAnnouncement(command.reason, key=command.key, allowed=command.allowed)
        if self._closed:
            raise InvalidAnnouncement("shutting down")
        if command.target not in self._speakers:
            known = ", ".join(self._speakers)
            raise InvalidAnnouncement(
                f"no speaker or group is named {command.target!r}", key="target", allowed=known
            )
        match command:
            case Say():
                self._say(command)
            case LiveChunk():
                self._streams.append(command)
            case Replay():
                self._replay(command)
            case _:
                _apply(command, self._speakers[command.target])

    def _say(self, command: Say) -> None:
        announcement = self._announcement(
            command, parse_payload(command.payload, command.urgency, self._known)
        )
        # It was stored before a crash, but the sender's side had not been told so.
        if command.redelivered and (id_ := self._restored_id(command)) is not None:
            announcement = dataclasses.replace(announcement, id=id_)
        self._accept(announcement, command.payload, command.acknowledge)

    def _announcement(
        self, command: Say | LiveChunk, parsed: ParsedPayload, live: LiveText | None = None
    ) -> Announcement:
        return build_announcement(
            command, parsed, live=live, received_monotonic=_now(), local_now=self._local_now()
        )

    def _accept(
        self, announcement: Announcement, payload: bytes, acknowledge: Callable[[], None] | None
    ) -> None:
        """Limit, store, queue and acknowledge an announcement.

        It is stored for the speakers that would queue it before these do so, because their events tell the
        store what became of it.
        """
        speakers = self._speakers[announcement.target]
        queueing = [speaker for speaker in speakers if speaker.admission(announcement) is Admission.QUEUED]
        topic = self._last_topics[announcement.target] = announcement.topic or announcement.target
        if queueing and not self._rate_limiter.try_acquire(announcement, topic, _now()):
            _call(acknowledge)
            self._hand_out(self._synthesis.new_job(announcement), announcement.target, refusing=queueing)
            self._watch_bursts()
            return
        if queueing and _must_be_stored(announcement):
            stored = self._persist(announcement, payload, [speaker.name for speaker in queueing])
            stored.add_done_callback(lambda _: _call(acknowledge))
        else:
            # Before the announcement is queued, so that a sender's next message is not held up by synthesis.
            _call(acknowledge)
        self._add(announcement)

    def _add(self, announcement: Announcement) -> None:
        """Submit an announcement to each speaker of its target."""
        job = self._synthesis.new_job(announcement)
        log = {"ANNOUNCEMENT_ID": announcement.id}
        logger.info("accepted for %s, %s", announcement.target, announcement.urgency, extra=log)
        if announcement.text is not None and not announcement.private:
            job.retain()
            self._replayable.append(job)
            if len(self._replayable) > MAX_KEPT_CLIPS:
                self._replayable[-1 - MAX_KEPT_CLIPS].release()
        self._hand_out(job, announcement.target)

    def _hand_out(self, job: SpeechJob, target: str, *, refusing: Sequence[Speaker] = ()) -> None:
        """Submit a job to each speaker of a target; those that are `refusing` end it as suppressed.

        A speaker that breaks does not take the announcement from the others: it has failed only there.
        """
        job.join()  # or else the first speaker, if it has no use for it, would close it for the others
        for speaker in self._speakers[target]:
            try:
                if speaker in refusing:
                    speaker.refuse(job, "rate")
                else:
                    speaker.submit(job)
            except Exception:
                logger.exception("%s cannot take an announcement", speaker.name)
                self._observers.fail(speaker.name, job.announcement, "internal error; the log has it")
        job.leave()

    def _restored_id(self, command: Say) -> str | None:
        """Return the id of a restored announcement that a redelivered command is; each is given once."""
        known = self._restored.get((command.target, command.payload), [])
        while known:
            id_, until = known.pop(0)
            if until > _now():
                return id_
        return None

    def _accept_live(self, chunk: LiveChunk, options: ParsedPayload, live: LiveText) -> None:
        self._add(self._announcement(chunk, options, live))

    def _replay(self, command: Replay) -> None:
        text = press_as_empty(command.payload) or "1"
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAX_REPLAYABLE):
            raise InvalidAnnouncement("no number", key="replay", allowed=f"1 to {MAX_REPLAYABLE}")
        names = {speaker.name for speaker in self._speakers[command.target]}
        targets = [target for target, those in self._speakers.items() if names & {one.name for one in those}]
        said = [job for job in self._replayable if job.announcement.target in targets]
        for job in said[-int(text) :]:
            replay = replay_of(job.announcement, command)
            # The clip of an older one is closed: it is synthesized again.
            new_job = job.replayed if job.can_replay else self._synthesis.new_job
            self._hand_out(new_job(replay), command.target)

    def _watch_bursts(self) -> None:
        """Set the timer for the end of the next burst of suppressed announcements."""
        loop = asyncio.get_running_loop()
        wait_s = self._rate_limiter.next_wakeup(loop.time())
        if wait_s is not None and self._burst_timer is None:
            self._burst_timer = loop.call_later(max(wait_s, 0.1), self._report_bursts)

    def _report_bursts(self) -> None:
        """Say how many announcements were suppressed."""
        now = _now()
        for burst in self._rate_limiter.finished_bursts(now):
            sentence = messages.skipped(burst.count, burst.target, self._language)
            tag = f"edgevoice-storm-{burst.topic}"[:64]
            self._add(
                internal_announcement(
                    sentence, burst.target, received_monotonic=now, received_at=self._local_now(), tag=tag
                )
            )
        self._burst_timer = None
        self._watch_bursts()

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
        if isinstance(command, Say):
            _call(command.acknowledge)
        self._observers.on_rejected(rejection, command.origin)


def _id_of(command: Command) -> str | None:
    if isinstance(command, LiveChunk):
        return command.id
    return peek_id(command.payload) if isinstance(command, Say) else None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _call(acknowledge: Callable[[], None] | None) -> None:
    if acknowledge is not None:
        acknowledge()


def replay_of(said: Announcement, command: Replay) -> Announcement:
    """Return a new announcement with the text and the voice of an earlier one."""
    return dataclasses.replace(
        said,
        id=f"{said.id[:50]}-r{uuid.uuid4().hex[:8]}",
        target=command.target,
        received_monotonic=_now(),
        received_at=datetime.now(UTC),
        ttl=DEFAULT_TTL_S[said.urgency],
        not_before=0.0,
        due_at=None,
        tag=None,
        repeat=None,
        origin=command.origin,
    )


def _must_be_stored(announcement: Announcement) -> bool:
    """Return whether a power cut must not lose an announcement (docs/guides/urgency.md).

    Live text is available only once, and private text is never written down.
    """
    is_urgent = announcement.urgency.rank >= Urgency.HIGH.rank
    return is_urgent and announcement.live is None and not announcement.private


def _apply(command: Stop | Acknowledge | Digest | SetSetting, speakers: Sequence[Speaker]) -> None:
    match command:
        case Stop() | Acknowledge():
            _end(command, speakers)
        case Digest():
            for speaker in speakers:
                speaker.read_digest()
        case SetSetting():
            value = decode_utf8(command.payload).strip()
            for speaker in speakers:
                speaker.apply_setting(command.setting, value)


def _end(command: Stop | Acknowledge, speakers: Sequence[Speaker]) -> None:
    """Stop or acknowledge announcements."""
    word = press_as_empty(command.payload)
    # Lists: the command reaches each speaker, also if another one has found something.
    if isinstance(command, Stop):
        hits, is_known_word = [speaker.stop(word) for speaker in speakers], word in ("", "all")
        reason, allowed = "nothing here has the id or tag", "an empty payload, all, an id or a tag"
    else:
        hits, is_known_word = [speaker.acknowledge(word) for speaker in speakers], word == ""
        reason, allowed = "no repeating alert here has the id", "an empty payload, or an id"
    # A group, and `all`, may have speakers on other nodes, and these may have what is not here.
    is_speaker = any(speaker.name == command.target for speaker in speakers)
    if is_speaker and not (is_known_word or any(hits)):
        raise InvalidAnnouncement(f"{reason} {printable(word)!r}", key="payload", allowed=allowed)


def press_as_empty(payload: bytes) -> str:
    """Return a command's word; what buttons send (PRESS of Home Assistant, single, on) counts as empty."""
    text = decode_utf8(payload).strip()
    return "" if text.casefold() in ("press", "single", "on") else text
