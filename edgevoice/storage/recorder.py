"""Stores what becomes of the announcements of this node, tells the observers, and restores it at the next start."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.outcome import Event, EventType
from edgevoice.storage.schema import DEDUPLICATION_S, PendingAnnouncement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.outcome import Rejection, SpeakerState
    from edgevoice.playback.speaker import Speaker
    from edgevoice.plugin import Observer
    from edgevoice.scheduler.policy import SpeakerSettings
    from edgevoice.scheduler.queue import QueueItem
    from edgevoice.storage.schema import Snapshot
    from edgevoice.storage.store import Store

logger = logging.getLogger(__name__)

#: Events after which an announcement may wait longer than before.
_RESCHEDULES = frozenset({EventType.HELD, EventType.STARTED, EventType.RESUMED, EventType.INTERRUPTED})


class Recorder:
    """Stores what each event changes, then passes the event to the observers, which it knows by name.

    An observer that raises does not affect the others. `has_texts`: the history keeps what was announced.
    """

    def __init__(
        self,
        store: Store,
        observers: Mapping[str, Observer],
        *,
        has_texts: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._observers = observers
        self._durable = tuple(name for name, observer in observers.items() if observer.durable)
        self._has_texts = has_texts
        self._now = now
        self._is_restored = False

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

    def keep_for_restart(self, speaker: str, item: QueueItem, payload: bytes) -> None:
        """Keep an item for the next start, because the daemon ends."""
        if (speaker, item.announcement.id) not in self._store.pending:
            self.persist(item.announcement, payload, [speaker])
        self._reschedule(speaker, item)

    def on_event(self, event: Event, item: QueueItem) -> None:
        """Store what an event changes, then tell the observers."""
        announcement = item.announcement
        if event.event_type.is_outcome:
            self._record(event, announcement)
        elif event.event_type in _RESCHEDULES:
            self._reschedule(event.speaker, item)
        self._tell(self._observers, lambda observer: observer.on_event(event, announcement.origin))

    def _record(self, event: Event, announcement: Announcement | None) -> None:
        """Store an outcome: it ends the announcement, and is in the history."""
        text = None
        if announcement is not None and self._has_texts and not announcement.private:
            text = announcement.text if announcement.live is None else announcement.live.text
        is_promised = event.urgency.rank >= Urgency.HIGH.rank
        self._store.record(event, text=text, observers=self._durable if is_promised else ())

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._tell(self._observers, lambda observer: observer.on_state(speaker, state))

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        self._tell(self._observers, lambda observer: observer.on_rejected(rejection, origin))

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

    def _tell(self, names: Iterable[str], what: Callable[[Observer], None]) -> None:
        for name in names:
            try:
                what(self._observers[name])
            except (Exception, SystemExit):
                logger.exception("observer %s failed; the others run on", name)

    # ---- Restoring -----------------------------------------------------------------------------------

    async def restore(
        self,
        speakers: Mapping[str, Speaker],
        submit: Callable[[Sequence[PendingAnnouncement]], Sequence[str]],
    ) -> None:
        """Restore settings, finished ids, undelivered events and pending announcements, once they can be read.

        `submit` takes one announcement, a row for each speaker, and returns the speakers that took it.
        """
        snapshot = await self._store.snapshot()
        if self._is_restored:
            return
        self._is_restored = True
        for name, speaker in speakers.items():
            self._restore_speaker(name, speaker, snapshot)
        for name, event in snapshot.undelivered:
            if name in self._durable:
                self._redeliver(name, event)
            else:
                self._store.delivered(name, event)
        for rows in _by_announcement(snapshot.pending):
            logger.info("restored", extra={"ANNOUNCEMENT_ID": rows[0].id})
            if rows[0].urgency.rank < Urgency.HIGH.rank:
                self._store.forget(rows)  # it survives a polite restart, but is not said twice after a crash
            taken = submit(rows)
            for row in (row for row in rows if row.speaker not in taken):
                self.fail(row.speaker, row, "unreadable" if row.speaker in speakers else "unknown speaker")

    def _restore_speaker(self, name: str, speaker: Speaker, snapshot: Snapshot) -> None:
        if settings := self._store.settings(name):
            dnd, now = settings.get("dnd", False), asyncio.get_running_loop().time()
            dnd_until = math.inf if dnd is True else max(0.0, now + dnd - self._now()) if dnd else 0.0
            volume = int(settings.get("volume", speaker.settings.volume))
            speaker.restore_settings(volume=volume, mute=settings.get("mute") is True, dnd_until=dnd_until)
        speaker.restore_finished(
            {id_: at + DEDUPLICATION_S for (of, id_), at in snapshot.finished.items() if of == name}
        )

    def _redeliver(self, name: str, event: Event) -> None:
        repeated = msgspec.structs.replace(
            event, repeated=True
        )  # it may have been delivered before the crash
        self._tell([name], lambda observer: observer.on_event(repeated, None))

    def fail(self, speaker: str, what: Announcement | PendingAnnouncement, reason: str) -> None:
        """End an announcement that its speaker did not take; a pending one is from before a restart."""
        announcement = None if isinstance(what, PendingAnnouncement) else what
        event = Event(
            event_type=EventType.FAILED,
            id=what.id,
            speaker=speaker,
            target=what.target,
            at=datetime.now(UTC),
            urgency=what.urgency,
            tag=None if announcement is None else announcement.tag,
            reason=reason,
            repeated=announcement is None or announcement.repeated,
        )
        self._record(event, announcement)
        origin = None if announcement is None else announcement.origin
        self._tell(self._observers, lambda observer: observer.on_event(event, origin))


def _by_announcement(pending: Iterable[PendingAnnouncement]) -> Iterable[list[PendingAnnouncement]]:
    """Return the rows of each announcement together, so that its speakers share its synthesis."""
    announcements: dict[tuple[str, str, bytes], list[PendingAnnouncement]] = {}
    for row in pending:
        announcements.setdefault((row.id, row.target, row.payload), []).append(row)
    return announcements.values()
