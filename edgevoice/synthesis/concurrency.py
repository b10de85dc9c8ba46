r"""A preemptive priority limiter for the concurrent requests of one account. See docs/decisions/concurrency-limiter.md.

A request goes through these states:

              slot is free                    end of the body
    WAITING ----------------> HOLDING ---------------------------> released
       ^                         |  \
       |   acquire again         |   \ a request of higher rank waits
       |                         |    v
    Preempted <------------------+-- REVOKED --(1 s, clean-up hangs)--> released
                  429 beside other requests

A revoked request becomes HOLDING again if nothing of a higher rank waits any more before its body has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from typing import TYPE_CHECKING, Protocol

from edgevoice.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.announcement import Rank

logger = logging.getLogger(__name__)

#: Seconds that a revoked request may take to clean up before its slot is given to another one.
RELEASE_TIMEOUT_S = 1.0
#: Seconds without a 429 after which the configured number of requests is tried again.
RESTORE_S = 600.0
#: Seconds for which a transport is not asked at most, however long its server says.
MAX_RETRY_AFTER_S = 30.0


class Requester(Protocol):
    """The owner of a request; call `ConcurrencyLimiter.rebalance` when its rank has changed."""

    @property
    def rank(self) -> Rank:
        """Its rank now."""


class Preempted(Exception):
    """The slot was revoked by a more urgent request, or the server answered 429.

    Acquire again and continue where the request stopped.
    """


class Slot:
    """A request: it waits until `granted`, then holds a slot until `release`."""

    def __init__(self, requester: Requester, number: int, limiter: ConcurrencyLimiter) -> None:
        self.requester = requester
        self.number = number
        #: Concurrent requests that were allowed when it was granted.
        self.limit = 0
        #: Whether other requests of the account were in flight beside it.
        self.is_shared = False
        self.granted = asyncio.Event()
        self.is_revoked = False
        #: Ends the body when the slot is revoked.
        self.scope: asyncio.Timeout | None = None
        self._limiter = limiter
        self._seizure: asyncio.TimerHandle | None = None

    @property
    def order(self) -> tuple[int, int, int]:
        priority, urgency = self.requester.rank
        return -priority, -urgency, self.number

    def revoke(self, *, wanted: bool) -> None:
        """Ask for the slot back, or no longer, unless its body is being ended already."""
        if wanted is self.is_revoked or (self.scope is not None and self.scope.expired()):
            return
        self.is_revoked = wanted
        if self.scope is not None:
            self.scope.reschedule(_now() if wanted else None)
        if self._seizure is not None:
            self._seizure.cancel()
        if wanted:
            loop = asyncio.get_running_loop()
            self._seizure = loop.call_later(self._limiter.release_timeout_s, self._seize)

    def release(self) -> None:
        """Give the slot back; a second call does nothing."""
        if self._seizure is not None:
            self._seizure.cancel()
        self._limiter.discard(self)

    def _seize(self) -> None:
        logger.error("a request hangs while it is cancelled; its slot is given to the next one")
        self.release()


class ConcurrencyLimiter:
    """At most `limit` requests of an account at once, fewer while its server refuses that many.

    `fault` takes what to set, or None. `section` is the account's section of the configuration.
    Use as `async with limiter.acquire(requester): ...`.
    """

    def __init__(
        self,
        limit: int,
        fault: Callable[[str | None], None] = lambda _: None,
        *,
        section: str = "account",
        release_timeout_s: float = RELEASE_TIMEOUT_S,
    ) -> None:
        #: Concurrent requests that the configuration allows.
        self.configured = limit
        self.release_timeout_s = release_timeout_s
        self._limit = AdaptiveLimit(limit, fault, section)
        self._holding: list[Slot] = []
        self._waiting: list[Slot] = []
        self._numbers = itertools.count()

    @property
    def has_room(self) -> bool:
        """Whether a slot is free that no request waits for."""
        return not self._waiting and len(self._holding) < self._limit.at(_now())

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a slot."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def acquire(self, requester: Requester, transport: str = "") -> AsyncIterator[Slot]:
        """Wait for a slot in the order of rank, and hold it for a request over `transport`.

        Raises:
            Preempted: out of the body, when a request of higher rank needs the slot, or the server answered
                429 while other requests of the account were in flight.
            TooManyRequests: the server answered 429 to a request without others beside it, or `Retry-After`
                of an earlier one is not over.
        """
        self._limit.check_retry_after(transport, _now())
        slot = Slot(requester, next(self._numbers), self)
        self._waiting.append(slot)
        self.rebalance()
        try:
            await slot.granted.wait()
            async with asyncio.timeout(None) as slot.scope:
                if slot.is_revoked:
                    raise Preempted
                yield slot
        except TimeoutError:
            if slot.scope and slot.scope.expired():
                raise Preempted from None
            raise
        except TooManyRequests as error:
            if not slot.is_shared:
                self._limit.retry_after(transport, error.retry_after or 0.0, _now())
                raise
            self._limit.on_rejected(slot.limit, _now())
            raise Preempted from error
        finally:
            slot.release()

    def discard(self, slot: Slot) -> None:
        """Take a request out, whether it waits or holds a slot, and grant the slot to the next one."""
        for slots in (self._holding, self._waiting):
            if slot in slots:
                slots.remove(slot)
        self.rebalance()

    def rebalance(self) -> None:
        """Grant free slots in the order of rank, and revoke a slot that is needed more elsewhere."""
        self._waiting.sort(key=lambda slot: slot.order)
        while self._waiting and len(self._holding) < (limit := self._limit.at(_now())):
            slot = self._waiting.pop(0)
            slot.limit = limit
            self._holding.append(slot)
            slot.granted.set()
        for slot in self._holding:
            slot.is_shared |= len(self._holding) > 1
        if self._holding:
            revoked = [slot for slot in self._holding if slot.is_revoked]  # one at a time
            least = revoked[0] if revoked else max(self._holding, key=lambda slot: slot.order)
            is_needed = bool(self._waiting) and least.requester.rank < self._waiting[0].requester.rank
            least.revoke(wanted=is_needed)


class AdaptiveLimit:
    """The limit of an account: halved (rounded up) on a 429, restored after 10 minutes. Times are monotonic seconds."""

    def __init__(self, configured: int, fault: Callable[[str | None], None], section: str) -> None:
        self._configured = self._limit = configured
        self._fault, self._section = fault, section
        self._restore_at = 0.0
        self._retry_at: dict[str, float] = {}

    def at(self, now: float) -> int:
        """Return the concurrent requests that are allowed now."""
        if self._limit < self._configured and now >= self._restore_at:
            self._limit = self._configured
            self._fault(None)
        return self._limit

    def on_rejected(self, limit: int, now: float) -> None:
        """Halve the limit after a 429 to a request that was made while `limit` were allowed."""
        self._limit, self._restore_at = min(self._limit, (limit + 1) // 2), now + RESTORE_S
        problem = f"the account refused {limit} requests at once"
        self._fault(f"{problem}; set {self._section}: {{concurrency: {self._limit}}}")

    def retry_after(self, transport: str, seconds: float, now: float) -> None:
        """Honour `Retry-After`: do not ask a transport for this time."""
        self._retry_at[transport] = now + min(seconds, MAX_RETRY_AFTER_S)

    def check_retry_after(self, transport: str, now: float) -> None:
        """Raise `TooManyRequests` if a transport must not be asked yet."""
        if (left := self._retry_at.get(transport, 0.0) - now) > 0:
            raise TooManyRequests(f"not asked: the server wants to be left alone for {left:.0f} s more", left)


def _now() -> float:
    return asyncio.get_running_loop().time()
