"""What outlives the process: hands it to the journal as it happens, and back to the speakers at start."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.journal.journal import Journal, Kept
from edgevoice.outcome import OUTCOMES, EventType
from edgevoice.plugin import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgevoice.announcement import Announcement
    from edgevoice.commands import Say
    from edgevoice.outcome import Event, SpeakerState
    from edgevoice.plugin import Context
    from edgevoice.speaker.speaker import Speaker

logger = logging.getLogger(__name__)


class Keeper(Observer):
    """An observer of all that happens, with a journal."""

    def __init__(self, journal: Journal, context: Context, wall: Callable[[], float] = time.time) -> None:
        super().__init__(context, None)
        self._journal = journal
        self._wall = wall
        self._speakers: Mapping[str, Speaker] = {}
        self._arriving: Kept | None = None
        self._accepting: set[asyncio.Task[None]] = set()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The last outcomes, oldest first."""
        return self._journal.history

    def keep(self, announcement: Announcement, command: Say) -> None:
        """Put an announcement on the disk for each speaker that now queues it; then the sender may forget it.

        A private one is never written down; it is as safe as a normal one.
        """
        if not _is_kept(announcement):
            if command.acknowledge is not None:
                command.acknowledge()
            return
        self._arriving = Kept(
            id=announcement.id,
            target=announcement.target,
            payload=command.payload,
            urgency=announcement.urgency,
            at=self._wall(),
            ttl=announcement.not_before + announcement.ttl,
            speakers=(),
        )
        task = asyncio.create_task(self._accept(command.acknowledge), name=f"journal {announcement.id}")
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _accept(self, acknowledge: Callable[[], None] | None) -> None:
        self._arriving = None
        await self._journal.durable()
        if acknowledge is not None:
            acknowledge()

    def survives(self, speaker: str, announcement: Announcement) -> bool:
        """Whether a speaker gets it back at the next start, so that it is without an outcome until then."""
        return any(kept.id == announcement.id and speaker in kept.speakers for kept in self._journal.pending)

    def restore(self, speakers: Mapping[str, Speaker], again: Callable[[Kept, str, float], None]) -> None:
        """Give the speakers back what they were told and what they finished, then say again what is left.

        `again` takes what is to be said again, on which speaker, and the seconds it may still wait there.
        """
        self._speakers = speakers
        now, loop = self._wall(), asyncio.get_running_loop()
        for name, values in self._journal.switches.items():
            if name in speakers:
                self._set(speakers[name], values, now)
        for (name, id_), at in self._journal.finished.items():
            if name in speakers:
                speakers[name].finished[id_] = loop.time() + 86_400 - (now - at)
        for kept in self._journal.pending:
            logger.info("kept over the restart", extra={"ANNOUNCEMENT_ID": kept.id})
            for name in kept.speakers:
                again(kept, name, kept.ttl - kept.age(name, now))

    def on_event(self, event: Event, origin: object) -> None:
        del origin
        arriving = self._arriving
        if event.event_type is EventType.QUEUED and arriving is not None and event.id == arriving.id:
            # Before all that may come of it within the same moment: it is held, or ended.
            self._journal.note(msgspec.structs.replace(arriving, speakers=(event.speaker,)))
        elif event.event_type in OUTCOMES:
            outcome = msgspec.to_builtins(event)
            self._journal.end(event.speaker, event.id, event.urgency, outcome)
        elif event.urgency.rank >= Urgency.HIGH.rank and event.event_type in (
            EventType.HELD,
            EventType.STARTED,
            EventType.RESUMED,
        ):
            self._journal.hold(event.id, event.speaker, event.event_type is EventType.HELD)

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        known = self._journal.switches.get(speaker, {})
        presence = self._speakers[speaker].presence if speaker in self._speakers else None
        if presence is None:
            return
        lasting = presence.dnd_until - asyncio.get_running_loop().time()
        dnd: float = self._wall() + lasting if 0 < lasting < math.inf else lasting > 0
        values = {"volume": state.volume, "mute": state.mute, "dnd": dnd}
        if not _same(known, values):
            self._journal.switch(speaker, **values)

    def _set(self, speaker: Speaker, values: Mapping[str, bool | float], now: float) -> None:
        presence = speaker.presence
        presence.volume = int(values.get("volume", presence.volume))
        presence.mute = bool(values.get("mute", False))
        dnd = values.get("dnd", False)
        if dnd is True:
            presence.set_dnd(on=True)
        elif dnd and dnd > now:
            presence.dnd_until = asyncio.get_running_loop().time() + dnd - now
        speaker.tick()


def _same(known: Mapping[str, float], values: Mapping[str, float]) -> bool:
    """Whether two sets of switches agree; the end of do not disturb to the second."""
    return all(key in known and abs(known[key] - value) < 1 for key, value in values.items())


def _is_kept(announcement: Announcement) -> bool:
    """Whether it is promised to survive; live text cannot be had again, a private one is never written."""
    urgent = announcement.urgency.rank >= Urgency.HIGH.rank
    return urgent and announcement.live is None and not announcement.private
