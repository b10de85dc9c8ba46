"""The two queues of a speaker: items to play, most urgent first, and held items, oldest first."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

from edgevoice.scheduler.item import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from edgevoice.scheduler.item import QueueItem

#: Seconds of sound that are synthesized ahead; one longer item is enough.
PREFETCH_S = 2.0
#: Interrupted items that are kept (contract).
MAX_INTERRUPTED = 4


def partition(
    items: Sequence[QueueItem], wanted: Callable[[QueueItem], object]
) -> tuple[list[QueueItem], list[QueueItem]]:
    """Return the wanted items and the others, both in their order."""
    taken: list[QueueItem] = []
    left: list[QueueItem] = []
    for item in items:
        (taken if wanted(item) else left).append(item)
    return taken, left


def least_urgent(items: Sequence[QueueItem]) -> QueueItem:
    """Return the item to drop where there are too many: the least urgent, of those the oldest."""
    return min(items, key=lambda item: (item.announcement.urgency.rank, item.sequence))


class ReadyQueue:
    """The items that wait, in the order in which they will be played; times are monotonic seconds.

    The order of an item must not change while it is queued; its due time and deadline only by `follow_clock`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: list[QueueItem] = []
        self._ids: set[str] = set()
        #: No item becomes due or expires before.
        self._next_change = math.inf

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[QueueItem]:
        return iter(self._items)

    def has_id(self, id_: str) -> bool:
        return id_ in self._ids

    def add(self, item: QueueItem) -> QueueItem | None:
        """Add an item; return the item that must be dropped for it: the least urgent, oldest first."""
        bisect.insort(self._items, item, key=lambda item: item.order)
        self._ids.add(item.announcement.id)
        self._next_change = min(self._next_change, _next_change(item, item.announcement.received_monotonic))
        if len(self._items) <= self._limit:
            return None
        dropped = least_urgent(self._items)
        self.remove(dropped)
        return dropped

    def is_full_of_interrupted(self) -> bool:
        """Return whether no further interrupted item can be kept."""
        return sum(item.progress.has_begun for item in self._items) >= MAX_INTERRUPTED

    def ready(self, now: float) -> Iterator[QueueItem]:
        """Yield the items that could be played now, in order."""
        return (
            item
            for item in self._items
            if item.status is not Status.PARKED
            and item.due <= now
            and (item.deadline is None or item.deadline > now)
        )

    def first(self, now: float) -> QueueItem | None:
        """Return the item that is played next; it stays until `remove`."""
        return next(self.ready(now), None)

    def prefetch_candidates(self, now: float) -> Iterator[QueueItem]:
        """Yield the items to synthesize: the next one, and more while all are short and complete."""
        ahead_s = 0.0
        for item in self.ready(now):
            yield item
            ahead_s += item.remaining_s
            if ahead_s >= PREFETCH_S or item.progress.synthesized_s is None:
                return

    def remove(self, item: QueueItem) -> None:
        self._items.remove(item)
        self._ids.discard(item.announcement.id)

    def pop_if(self, wanted: Callable[[QueueItem], object]) -> list[QueueItem]:
        """Remove and return every wanted item."""
        taken, self._items = partition(self._items, wanted)
        self._ids.difference_update(item.announcement.id for item in taken)
        return taken

    def may_have_changed(self, now: float) -> bool:
        """Return whether an item may have become due or expired since `pop_expired` was last called."""
        return self._next_change <= now

    def follow_clock(self, now: float, local_now: datetime) -> None:
        """Move the items that are due at a time of day, if the wall clock was set."""
        for item in self._items:
            if item.due_at is not None:
                item.follow_clock(now, local_now)
                self._next_change = min(self._next_change, item.due)

    def pop_expired(self, now: float) -> list[QueueItem]:
        """Remove and return the items whose first sound, or continuation, would be too late."""
        if not self.may_have_changed(now):
            return []
        taken = self.pop_if(lambda item: item.deadline is not None and item.deadline <= now)
        self._next_change = min((_next_change(item, now) for item in self._items), default=math.inf)
        return taken

    def next_change(self) -> float | None:
        """Return a moment before which time alone makes no item due or expired."""
        return None if self._next_change == math.inf else self._next_change


def _next_change(item: QueueItem, now: float) -> float:
    """Return when it becomes due, if that is still to come, or expires."""
    deadline = math.inf if item.deadline is None else item.deadline
    return min(item.due, deadline) if item.due > now else deadline


class HeldQueue:
    """The held items, oldest first; an item is held for at most `keep_s` seconds."""

    def __init__(self, keep_s: float, limit: int) -> None:
        self._keep_s = keep_s
        self._limit = limit
        self._items: list[QueueItem] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[QueueItem]:
        return iter(self._items)

    def has_id(self, id_: str) -> bool:
        return any(item.announcement.id == id_ for item in self._items)

    def add(self, item: QueueItem) -> QueueItem | None:
        """Add an item; return the item that must be dropped for it: the least urgent, oldest first."""
        bisect.insort(self._items, item, key=lambda item: item.sequence)
        if len(self._items) <= self._limit:
            return None
        dropped = least_urgent(self._items)
        self._items.remove(dropped)
        return dropped

    def pop_if(self, wanted: Callable[[QueueItem], object]) -> list[QueueItem]:
        """Remove and return every wanted item."""
        taken, self._items = partition(self._items, wanted)
        return taken

    def pop_expired(self, now: float) -> list[QueueItem]:
        """Remove and return the items that were held too long, except those that a digest is reading."""
        return self.pop_if(lambda item: item.digest is None and self._expires_at(item) <= now)

    def next_change(self) -> float | None:
        """Return when the next item was held too long."""
        return min((self._expires_at(item) for item in self._items if item.digest is None), default=None)

    def unread(self) -> list[QueueItem]:
        """Return the items that no digest reads yet and whose text is complete."""
        return [item for item in self._items if item.digest is None and _is_complete(item)]

    def _expires_at(self, item: QueueItem) -> float:
        return (item.held_since or 0.0) + self._keep_s


def _is_complete(item: QueueItem) -> bool:
    live = item.announcement.live
    return live is None or live.ended
