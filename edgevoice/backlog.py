"""What waits to be said on one speaker: most urgent first, then oldest; bounded."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgevoice.turn import Turn

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
    """The turns that wait, in the order they will be taken; times are monotonic seconds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._turns: list[Turn] = []

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns)

    def add(self, turn: Turn) -> Turn | None:
        """Keep a turn; return the one that has to be given up for it: the least urgent, oldest first."""
        bisect.insort(self._turns, turn, key=lambda turn: turn.order)
        if len(self._turns) <= self._limit:
            return None
        given_up = least_urgent(self._turns)
        self._turns.remove(given_up)
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

    def remove(self, turn: Turn) -> None:
        self._turns.remove(turn)

    def take_if(self, wanted: Callable[[Turn], object]) -> list[Turn]:
        """Take out every turn that is wanted."""
        taken, self._turns = parted(self._turns, wanted)
        return taken

    def expired(self, now: float) -> list[Turn]:
        """Take out those whose first sound, or going on, would be stale."""
        return self.take_if(lambda turn: turn.deadline is not None and turn.deadline <= now)

    def next_change(self, now: float) -> float | None:
        """When, without anything arriving, a turn becomes due or stale next."""
        moments = [turn.due for turn in self._turns if turn.due > now]
        moments += [turn.deadline for turn in self._turns if turn.deadline is not None]
        return min(moments, default=None)


def least_urgent(turns: list[Turn]) -> Turn:
    """The one to give up where there are too many: the least urgent, of those the oldest."""
    return min(turns, key=lambda turn: (turn.announcement.urgency.rank, turn.number))
