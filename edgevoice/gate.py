"""The account's concurrency: one gate for all who ask Lightning, where the more urgent go first."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice.announcement import Urgency


class Preempted(Exception):
    """The place was taken back for something more urgent; ask again and go on where it stopped."""


class _Holder:
    """One who waits for a place, or has it; `scope` is what its work can be ended by, once it works."""

    def __init__(self, rank: int, number: int) -> None:
        self.rank = rank
        self.number = number
        self.scope: asyncio.Timeout | None = None
        self.turn = asyncio.Event()
        self.given_up = False

    @property
    def order(self) -> tuple[int, int]:
        return -self.rank, self.number


class Gate:
    """At most `places` requests at once. Use as `async with gate.place(urgency): ...`."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._holding: list[_Holder] = []
        self._waiting: list[_Holder] = []
        self._numbers = itertools.count()

    @property
    def has_room(self) -> bool:
        """Whether a place can be had without waiting, and without taking anybody's."""
        return not self._waiting and len(self._holding) < self._places

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def place(self, urgency: Urgency) -> AsyncIterator[None]:
        """Wait for a place, the more urgent first, and hold it.

        Raises:
            Preempted: out of the body, when something more urgent needs the place.
        """
        holder = _Holder(urgency.rank, next(self._numbers))
        self._waiting.append(holder)
        self._hand_out()
        try:
            await holder.turn.wait()
            async with asyncio.timeout(None) as holder.scope:
                if holder.given_up:
                    raise Preempted
                yield
        except TimeoutError:
            if holder.scope and holder.scope.expired():
                raise Preempted from None
            raise
        finally:
            (self._holding if holder in self._holding else self._waiting).remove(holder)
            self._hand_out()

    def _hand_out(self) -> None:
        self._waiting.sort(key=lambda holder: holder.order)
        while self._waiting and len(self._holding) < self._places:
            holder = self._waiting.pop(0)
            self._holding.append(holder)
            holder.turn.set()
        if self._waiting:
            self._take_back_for(self._waiting[0])

    def _take_back_for(self, first: _Holder) -> None:
        """Ask the least urgent holder for its place, unless one was asked already."""
        if any(holder.given_up for holder in self._holding):
            return
        least = max(self._holding, key=lambda holder: holder.order)
        if least.rank < first.rank:
            least.given_up = True
            if least.scope is not None:
                least.scope.reschedule(asyncio.get_running_loop().time())
