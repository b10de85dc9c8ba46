"""What waits to be said on one speaker: most urgent first, then oldest; bounded."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgevoice.speaker.turn import Turn

AHEAD = 2.0
"""Seconds of sound that are made ahead; less where the next one alone is longer."""
MOST_INTERRUPTED = 4
"""Interrupted ones that are kept (contract)."""


def parted(turns: list[Turn], wanted: Callable[[Turn], object]) -> tuple[list[Turn], list[Turn]]:
    """Those that are wanted, and the others, both in their order."""
    taken: list[Turn] = []
    left: list[Turn] = []
    for turn in turns:
        (taken if wanted(turn) else left).append(turn)
    return taken, left


class Backlog:
    """The turns that wait, in the order they will be taken; times are monotonic seconds.

    When a turn is due, when it is stale, and its place in the order do not change while it is here.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._turns: list[Turn] = []
        self._names: set[str] = set()
        self._moment = math.inf
        """No turn becomes due or stale before it."""

    def __len__(self) -> int:
        return len(self._turns)

    def has(self, name: str) -> bool:
        """Whether an announcement with this id waits."""
        return name in self._names

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns)

    def add(self, turn: Turn) -> Turn | None:
        """Keep a turn; return the one that has to be given up for it: the least urgent, oldest first."""
        bisect.insort(self._turns, turn, key=lambda turn: turn.order)
        self._names.add(turn.announcement.id)
        self._moment = min(self._moment, _moment(turn, turn.announcement.received_monotonic))
        if len(self._turns) <= self._limit:
            return None
        given_up = least_urgent(self._turns)
        self.remove(given_up)
        return given_up

    def is_full_of_interrupted(self) -> bool:
        """Whether no further interrupted one can be kept."""
        return sum(turn.interrupted for turn in self._turns) >= MOST_INTERRUPTED

    def ready(self, now: float) -> Iterator[Turn]:
        """Those that could be said now, in order."""
        return (
            turn
            for turn in self._turns
            if not turn.parked and turn.due <= now and (turn.deadline is None or turn.deadline > now)
        )

    def first(self, now: float) -> Turn | None:
        """The turn to be taken next; it stays until `remove`."""
        return next(self.ready(now), None)

    def coming(self, now: float) -> Iterator[Turn]:
        """Those to be made: what is said next, and more while all is short and whole."""
        made = 0.0
        for turn in self.ready(now):
            yield turn
            made += turn.left_s
            if made >= AHEAD or not turn.speech.clip.complete:
                return

    def remove(self, turn: Turn) -> None:
        self._turns.remove(turn)
        self._names.discard(turn.announcement.id)

    def take_if(self, wanted: Callable[[Turn], object]) -> list[Turn]:
        """Take out every turn that is wanted."""
        taken, self._turns = parted(self._turns, wanted)
        self._names.difference_update(turn.announcement.id for turn in taken)
        return taken

    def changes(self, now: float) -> bool:
        """Whether a turn may have become due or stale since `expired` was last asked."""
        return self._moment <= now

    def expired(self, now: float) -> list[Turn]:
        """Take out those whose first sound, or going on, would be stale."""
        if not self.changes(now):
            return []
        taken = self.take_if(lambda turn: turn.deadline is not None and turn.deadline <= now)
        self._moment = min((_moment(turn, now) for turn in self._turns), default=math.inf)
        return taken

    def next_change(self) -> float | None:
        """Before when, without anything arriving, no turn becomes due or stale."""
        return None if self._moment == math.inf else self._moment


def _moment(turn: Turn, now: float) -> float:
    """When it becomes due, if that is still to come, or stale."""
    stale = math.inf if turn.deadline is None else turn.deadline
    return min(turn.due, stale) if turn.due > now else stale


def least_urgent(turns: list[Turn]) -> Turn:
    """The one to give up where there are too many: the least urgent, of those the oldest."""
    return min(turns, key=lambda turn: (turn.announcement.urgency.rank, turn.number))
