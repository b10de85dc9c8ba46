"""What outlives the process: hands it to the journal as it happens, and back to the speakers at start."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.commands import Say
from edgevoice.intake.intake import payload_of
from edgevoice.journal.journal import Journal, Kept
from edgevoice.outcome import OUTCOMES, EventType
from edgevoice.plugin import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.outcome import Event, SpeakerState
    from edgevoice.playback.speaker import Speaker
    from edgevoice.plugin import Context
    from edgevoice.scheduler.item import QueueItem

logger = logging.getLogger(__name__)


class Keeper(Observer):
    """An observer of all that happens, with a journal."""

    def __init__(self, journal: Journal, context: Context, wall: Callable[[], float] = time.time) -> None:
        super().__init__(context, None)
        self._journal = journal
        self._wall = wall
        self._speakers: Mapping[str, Speaker] = {}
        self._accepting: set[asyncio.Task[None]] = set()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The last outcomes, oldest first."""
        return self._journal.history

    def persist(
        self, announcement: Announcement, payload: bytes, speakers: Sequence[str]
    ) -> asyncio.Future[None]:
        """Put an announcement on the disk for the speakers that queue it; done once it is there."""
        self._journal.note(
            Kept(
                id=announcement.id,
                target=announcement.target,
                payload=payload,
                urgency=announcement.urgency,
                at=self._wall(),
                ttl=announcement.not_before + announcement.ttl,
                speakers=tuple(speakers),
            )
        )
        task = asyncio.create_task(self._journal.durable(), name=f"journal {announcement.id}")
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return task

    def keep_item(self, speaker: str, item: QueueItem) -> None:
        """Keep what a speaker did not come to play before the daemon ended."""
        announcement, now = item.announcement, asyncio.get_running_loop().time()
        if any(kept.id == announcement.id and speaker in kept.speakers for kept in self._journal.pending):
            return
        self._journal.note(
            Kept(
                id=announcement.id,
                target=announcement.target,
                payload=payload_of(announcement),
                urgency=announcement.urgency,
                at=self._wall(),
                ttl=item.expires_at(now) - now,
                speakers=(speaker,),
            )
        )

    def restore(self, speakers: Mapping[str, Speaker], again: Callable[..., object]) -> None:
        """Give the speakers back their settings and what they finished, then submit what is left."""
        self._speakers = speakers
        wall, now = self._wall(), asyncio.get_running_loop().time()
        for name, values in self._journal.switches.items():
            if name in speakers:
                self._set(speakers[name], values, wall, now)
        for name, speaker in speakers.items():
            finished = {id_: at for (of, id_), at in self._journal.finished.items() if of == name}
            speaker.restore_finished({id_: now + 86_400 - (wall - at) for id_, at in finished.items()})
        for kept in self._journal.pending:
            logger.info("kept over the restart", extra={"ANNOUNCEMENT_ID": kept.id})
            command = Say(target=kept.target, payload=kept.payload, urgency=kept.urgency)
            deadlines = {name: now + kept.ttl - kept.age(name, wall) for name in kept.speakers}
            again(command, kept.id, due=now, deadlines=deadlines)

    def on_event(self, event: Event, origin: object) -> None:
        del origin
        if event.event_type in OUTCOMES:
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
        if speaker not in self._speakers:
            return
        lasting = self._speakers[speaker].settings.dnd_until - asyncio.get_running_loop().time()
        dnd: float = self._wall() + lasting if 0 < lasting < math.inf else lasting > 0
        values = {"volume": state.volume, "mute": state.mute, "dnd": dnd}
        if not _same(known, values):
            self._journal.switch(speaker, **values)

    def _set(self, speaker: Speaker, values: Mapping[str, bool | float], wall: float, now: float) -> None:
        dnd = values.get("dnd", False)
        dnd_until = math.inf if dnd is True else now + dnd - wall if dnd > wall else 0.0
        volume = int(values.get("volume", speaker.settings.volume))
        speaker.restore_settings(volume=volume, mute=bool(values.get("mute", False)), dnd_until=dnd_until)


def _same(known: Mapping[str, float], values: Mapping[str, float]) -> bool:
    """Whether two sets of switches agree; the end of do not disturb to the second."""
    return all(key in known and abs(known[key] - value) < 1 for key, value in values.items())
