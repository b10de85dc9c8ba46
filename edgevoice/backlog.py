"""What waits to be said on one speaker: most urgent first, then oldest; bounded."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgevoice.turn import Turn


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
        least = self._turns[-1].announcement.urgency
        given_up = min(
            (turn for turn in self._turns if turn.announcement.urgency is least), key=lambda turn: turn.number
        )
        self._turns.remove(given_up)
        return given_up

    def first(self, now: float) -> Turn | None:
        """The turn to be taken next; it stays until `remove`."""
        return next((turn for turn in self._turns if _is_due(turn, now)), None)

    def remove(self, turn: Turn) -> None:
        self._turns.remove(turn)

    def take_if(self, wanted: Callable[[Turn], bool]) -> list[Turn]:
        """Take out every turn that is wanted."""
        taken = [turn for turn in self._turns if wanted(turn)]
        self._turns = [turn for turn in self._turns if turn not in taken]
        return taken

    def expired(self, now: float) -> list[Turn]:
        """Take out those whose first sound would be stale."""
        return self.take_if(lambda turn: not turn.started and turn.announcement.expires <= now)

    def next_change(self, now: float) -> float | None:
        """When, without anything arriving, a turn becomes due or stale next."""
        moments = [
            turn.announcement.expires if _is_due(turn, now) else _due_at(turn)
            for turn in self._turns
            if not turn.started and not turn.parked
        ]
        return min(moments, default=None)


def _due_at(turn: Turn) -> float:
    return turn.announcement.arrived + turn.announcement.not_before


def _is_due(turn: Turn, now: float) -> bool:
    return not turn.parked and _due_at(turn) <= now
