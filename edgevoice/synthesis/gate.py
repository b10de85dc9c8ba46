"""The account's concurrency: one gate for all who ask Lightning, where what is needed more goes first."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from edgevoice.errors import TooManyRequests
from edgevoice.synthesis.allowance import AdaptiveLimit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Priority(IntEnum):
    """What a request is made for."""

    PRERENDER = 0
    """To be there in case it is wanted one day."""
    PREFETCH = 1
    """To be said next, while another is heard."""
    NEEDED_NOW = 2
    """Somebody is silent until it is there."""


class Rank(NamedTuple):
    """Who goes first: what is needed now before all that is made ahead, then by urgency (`Urgency.rank`)."""

    need: Priority
    urgency: int


class Requester(Protocol):
    """One who asks for a place; `Gate.look` is to be called when its rank has changed."""

    @property
    def rank(self) -> Rank:
        """Its rank now."""


class Preempted(Exception):
    """The place was taken back, or is one more than the account allows; ask again and go on where it stopped."""


class _Holder:
    """One who waits for a place, or has it; `scope` is what its work can be ended by, once it works.

    `beside` are the others that held a place while it did, when they were the most, but for those refused.
    """

    def __init__(self, asker: Requester, number: int) -> None:
        self.asker = asker
        self.number = number
        self.scope: asyncio.Timeout | None = None
        self.turn = asyncio.Event()
        self.given_up = False
        self.beside: set[_Holder] = set()

    @property
    def order(self) -> tuple[int, int, int]:
        need, urgency = self.asker.rank
        return -need, -urgency, self.number

    def give_up(self, *, wanted: bool) -> None:
        """Give its place up, or after all not, if it is not too late."""
        if wanted is self.given_up or (self.scope is not None and self.scope.expired()):
            return
        self.given_up = wanted
        if self.scope is not None:
            self.scope.reschedule(asyncio.get_running_loop().time() if wanted else None)


class ConcurrencyLimiter:
    """At most `places` requests at once, fewer where the account allows fewer: `fault` is told so.

    Use as `async with gate.place(asker): ...`.
    """

    def __init__(self, places: int, fault: Callable[[str | None], None] = lambda _: None) -> None:
        self._allowance = AdaptiveLimit(places, fault)
        self._holding: list[_Holder] = []
        self._waiting: list[_Holder] = []
        self._numbers = itertools.count()

    @property
    def has_room(self) -> bool:
        """Whether a place can be had without waiting, and without taking anybody's."""
        return not self._waiting and len(self._holding) < self._allowance.places(_now())

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def acquire(self, asker: Requester, transport: str = "") -> AsyncIterator[None]:
        """Wait for a place, the more needed first, and hold it, to ask over a transport.

        Raises:
            Preempted: out of the body, when something that is needed more needs the place, or when the
                server says that the requests in flight are too many.
            TooManyRequests: it says so though no other of ours was in flight, or said for how long
                this transport is to be left alone.
        """
        self._allowance.raise_if_backing_off(transport, _now())
        holder = _Holder(asker, next(self._numbers))
        self._waiting.append(holder)
        self.rebalance()
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
        except TooManyRequests as error:
            if not holder.beside:
                self._allowance.back_off(transport, error.retry_after or 0.0, _now())
                raise
            for other in self._holding:
                other.beside.discard(holder)
            self._allowance.on_rejected(len(holder.beside), _now())
            raise Preempted from error
        finally:
            (self._holding if holder in self._holding else self._waiting).remove(holder)
            holder.beside.clear()  # else each would keep those before it, without an end
            self.rebalance()

    def rebalance(self) -> None:
        """Hand out what is free, and ask for a place back that is needed more elsewhere."""
        self._waiting.sort(key=lambda holder: holder.order)
        while self._waiting and len(self._holding) < self._allowance.places(_now()):
            holder = self._waiting.pop(0)
            self._holding.append(holder)
            holder.turn.set()
        for holder in self._holding:
            if len(self._holding) > len(holder.beside) + 1:
                holder.beside = {*self._holding} - {holder}
        self._take_back()

    def _take_back(self) -> None:
        """Ask one holder at a time for its place, the least needed; but only while that is wanted."""
        if not self._holding:
            return
        asked = [holder for holder in self._holding if holder.given_up]
        least = asked[0] if asked else max(self._holding, key=lambda holder: holder.order)
        first = self._waiting[0].asker.rank if self._waiting else least.asker.rank
        least.give_up(wanted=least.asker.rank < first)


def _now() -> float:
    return asyncio.get_running_loop().time()
