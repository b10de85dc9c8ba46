"""The account's concurrency: one gate for all who ask Lightning, where what is needed more goes first."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Protocol

from edgevoice.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.priority import Rank


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

    def __init__(
        self, places: int, fault: Callable[[str | None], None] = lambda _: None, *, section: str = "account"
    ) -> None:
        #: Requests at once that the configuration allows.
        self.configured = places
        self._allowance = AdaptiveLimit(places, fault, section=section)
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


RELEARN = 3600.0
"""Seconds without a refusal after which one request more is tried at once."""
LONGEST_REST = 30.0
"""Seconds for which a transport is left alone at most, however long its server says."""


class AdaptiveLimit:
    """Begins with what is configured; times are monotonic seconds. `fault` is told what is set too high."""

    def __init__(
        self, configured: int, fault: Callable[[str | None], None], *, section: str = "account"
    ) -> None:
        self._section = section
        self._configured = self._places = configured
        self._fault = fault
        self._changed = 0.0
        self._learned = False
        self._rests: dict[str, float] = {}

    def places(self, now: float) -> int:
        """Requests that may be in flight at once."""
        if self._learned and now >= self._changed + RELEARN:
            self._changed = now
            if self._places < self._configured:
                self._places += 1
            else:
                self._learned = False
                self._fault(None)
        return self._places

    def raise_if_backing_off(self, transport: str, now: float) -> None:
        """See that a transport may be asked.

        Raises:
            TooManyRequests: its server wants to be left alone for a while.
        """
        if (left := self._rests.get(transport, 0.0) - now) > 0:
            raise TooManyRequests(f"not asked: the server wants to be left alone for {left:.0f} s more", left)

    def back_off(self, transport: str, seconds: float, now: float) -> None:
        """The server wants no request over this transport for so many seconds."""
        self._rests[transport] = now + min(seconds, LONGEST_REST)

    def on_rejected(self, beside: int, now: float) -> None:
        """A request was too many, with so many others of ours in flight beside it."""
        self._places = min(self._places, beside)
        self._changed, self._learned = now, True
        requests = "1 request" if self._places == 1 else f"{self._places} requests"
        self._fault(
            f"it is {self._configured}, but the account allows {requests} at once; "
            f"set {self._section}: {{concurrency: {self._places}}}"
        )
