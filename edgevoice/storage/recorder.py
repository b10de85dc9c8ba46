"""Stores what becomes of the announcements and settings of this node, and then tells the observers."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.outcome import EventType
from edgevoice.storage.schema import PendingAnnouncement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.observers import Observers
    from edgevoice.outcome import Event, SpeakerState
    from edgevoice.scheduler.policy import SpeakerSettings
    from edgevoice.scheduler.queue import QueueItem
    from edgevoice.storage.store import Store

#: Events after which an announcement may wait longer than before.
_RESCHEDULES = frozenset({EventType.HELD, EventType.STARTED, EventType.RESUMED, EventType.INTERRUPTED})


class Recorder:
    """Stands between the speakers and the observers. `has_texts`: the history keeps what was announced."""

    def __init__(
        self,
        store: Store,
        observers: Observers,
        *,
        has_texts: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._observers = observers
        self._has_texts = has_texts
        self._now = now

    def persist(
        self, announcement: Announcement, payload: bytes, speakers: Sequence[str]
    ) -> asyncio.Future[None]:
        """Store an announcement for the speakers that will queue it; done once a power cut would not lose it."""
        return self._store.put(
            PendingAnnouncement(
                id=announcement.id,
                speaker=speaker,
                target=announcement.target,
                topic=announcement.topic,
                payload=payload,
                urgency=announcement.urgency,
                received=announcement.received_monotonic,
                due=announcement.due,
                expires=announcement.expires,
            )
            for speaker in speakers
        )

    def keep(self, speaker: str, item: QueueItem, payload: bytes) -> None:
        """Keep an item for the next start, because the daemon ends."""
        if (speaker, item.announcement.id) not in self._store.pending:
            self.persist(item.announcement, payload, [speaker])
        self._reschedule(speaker, item)

    def on_event(self, event: Event, item: QueueItem) -> None:
        announcement = item.announcement
        if event.event_type.is_outcome:
            self.record(event, announcement)
        elif event.event_type in _RESCHEDULES:
            self._reschedule(event.speaker, item)
        self._observers.on_event(event, announcement.origin)

    def record(self, event: Event, announcement: Announcement | None = None) -> None:
        """Store an outcome: it ends the announcement, and is in the history."""
        text = None
        if announcement is not None and self._has_texts and not announcement.private:
            text = announcement.text if announcement.live is None else announcement.live.text
        is_promised = event.urgency.rank >= Urgency.HIGH.rank
        self._store.record(event, text=text, observers=self._observers.durable if is_promised else ())

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._observers.on_state(speaker, state)

    def on_setting(self, speaker: str, name: str, settings: SpeakerSettings) -> None:
        """Store the setting that was changed: `volume`, `mute` or `dnd`."""
        remaining_s = settings.dnd_until - asyncio.get_running_loop().time()
        dnd: float | bool = self._now() + remaining_s if 0 < remaining_s < math.inf else remaining_s > 0
        values = {"volume": settings.volume, "mute": settings.mute, "dnd": dnd}
        self._store.set_setting(speaker, name, values[name])

    def _reschedule(self, speaker: str, item: QueueItem) -> None:
        announcement, now = item.announcement, asyncio.get_running_loop().time()
        if item.held_since is not None and item.deadline is not None:
            expires = item.deadline
        else:
            # Between two rounds it waits for longer than its ttl.
            expires = item.expires_at(now) + (announcement.repeat.every_s if announcement.repeat else 0.0)
        self._store.reschedule(
            speaker, announcement.id, due=item.due, expires=expires, held_since=item.held_since
        )
