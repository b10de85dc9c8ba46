"""A store whose clocks can be set and whose faults are written down, and what one tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edgevoice import Urgency
from edgevoice.outcome import Event, EventType
from edgevoice.storage.schema import PendingAnnouncement
from edgevoice.storage.store import Store, Timeouts

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Timeouts(open_s=5.0, commit_s=5.0, close_s=5.0, retry_s=0.02, max_retry_s=0.05)


class Clocks:
    """A wall clock that can be set, and a monotonic one that cannot."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_800_000_000.0, 5000.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


class Faults(list[str | None]):
    """Every sentence that was told, and None where it was taken back."""

    def __call__(self, part: str, sentence: str | None) -> None:
        assert part == "storage"
        if sentence != self.now:
            self.append(sentence)

    @property
    def now(self) -> str | None:
        return self[-1] if self else None


class Rig:
    """A folder, two clocks, and the faults of every store that was entered in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "edgevoice.db"
        self.clocks = Clocks()
        self.faults = Faults()

    def enter(self, folder: Path | None = None, **more: Any) -> Store:
        return Store(
            folder or self.folder,
            fault=self.faults,
            now=lambda: self.clocks.wall,
            monotonic=lambda: self.clocks.monotonic,
            **{"timeouts": QUICK, **more},
        )

    def pending(self, name: str, speaker: str = "kitchen", **more: Any) -> PendingAnnouncement:
        return pending(name, speaker, self.clocks.monotonic, **more)


def pending(
    name: str,
    speaker: str = "kitchen",
    now: float = 5000.0,
    *,
    urgency: Urgency = Urgency.HIGH,
    ttl: float = 600.0,
    payload: bytes = b"Fire!",
    **more: Any,
) -> PendingAnnouncement:
    return PendingAnnouncement(
        id=name,
        speaker=speaker,
        target="all",
        payload=payload,
        urgency=urgency,
        **{"received": now, "due": now, "expires": now + ttl, **more},
    )


def outcome(
    name: str,
    speaker: str = "kitchen",
    event_type: str = "finished",
    urgency: Urgency = Urgency.HIGH,
    **more: Any,
) -> Event:
    return Event(
        event_type=EventType(event_type),
        id=name,
        speaker=speaker,
        target="downstairs",
        urgency=urgency,
        transport="http_stream",
        why="longer than 140 characters",
        spoken_s=3.1,
        volume=60,
        **{"at": datetime(2026, 11, 22, 18, 4, 5, 123000, UTC), **more},
    )


def ids(store: Store) -> list[str]:
    return [row.id for row in store.pending.values()]
