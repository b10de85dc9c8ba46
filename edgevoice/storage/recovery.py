"""Gives back, at start, what the store kept: settings, finished ids, undelivered outcomes, announcements."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.outcome import Event, EventType
from edgevoice.storage.schema import DEDUPLICATION_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgevoice.observers import Observers
    from edgevoice.playback.speaker import Speaker
    from edgevoice.storage.recorder import Recorder
    from edgevoice.storage.schema import PendingAnnouncement, Snapshot
    from edgevoice.storage.store import Store

logger = logging.getLogger(__name__)


class Recovery:
    """Restores once; `run` waits for the disk if it has not answered yet.

    `restore` submits one announcement, a row for each speaker, and returns the speakers that took it.
    """

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        observers: Observers,
        speakers: Mapping[str, Speaker],
        restore: Callable[[Sequence[PendingAnnouncement]], Sequence[str]],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._observers = observers
        self._speakers = speakers
        self._restore = restore
        self._now = now
        self._is_done = False

    async def run(self) -> None:
        """Restore as soon as the database can be read."""
        snapshot = await self._store.snapshot()
        if not self._is_done:
            self._is_done = True
            self._restore_all(snapshot)

    def _restore_all(self, snapshot: Snapshot) -> None:
        now = asyncio.get_running_loop().time()
        for name, speaker in self._speakers.items():
            if settings := self._store.settings(name):
                self._restore_settings(speaker, settings, now)
            finished = {
                id_: at + DEDUPLICATION_S for (of, id_), at in snapshot.finished.items() if of == name
            }
            speaker.restore_finished(finished)
        for observer, event in snapshot.undelivered:
            # It may have been delivered before the crash.
            if not self._observers.redeliver(observer, msgspec.structs.replace(event, repeated=True)):
                self._store.delivered(observer, event)
        self._restore_announcements(snapshot.pending)

    def _restore_settings(self, speaker: Speaker, settings: Mapping[str, Any], now: float) -> None:
        dnd = settings.get("dnd", False)
        dnd_until = math.inf if dnd is True else max(0.0, now + dnd - self._now()) if dnd else 0.0
        volume = int(settings.get("volume", speaker.settings.volume))
        speaker.restore_settings(volume=volume, mute=settings.get("mute") is True, dnd_until=dnd_until)

    def _restore_announcements(self, pending: Sequence[PendingAnnouncement]) -> None:
        """Submit each announcement once for all of its speakers, so that they share its synthesis."""
        announcements: dict[tuple[str, str, bytes], list[PendingAnnouncement]] = {}
        for row in pending:
            announcements.setdefault((row.id, row.target, row.payload), []).append(row)
        for rows in announcements.values():
            logger.info("restored", extra={"ANNOUNCEMENT_ID": rows[0].id})
            if rows[0].urgency.rank < Urgency.HIGH.rank:
                self._store.forget(rows)  # it survives a polite restart, but is not said twice after a crash
            taken = self._restore(rows)
            for row in rows:
                if row.speaker not in taken:
                    self._fail(row)

    def _fail(self, row: PendingAnnouncement) -> None:
        """End an announcement whose speaker is gone, or that this version cannot read."""
        is_known = row.speaker in self._speakers
        event = Event(
            event_type=EventType.FAILED,
            id=row.id,
            speaker=row.speaker,
            target=row.target,
            at=datetime.now(UTC),
            urgency=row.urgency,
            reason="unreadable" if is_known else "unknown speaker",
            repeated=True,
        )
        self._recorder.record(event)
        self._observers.on_event(event, None)
