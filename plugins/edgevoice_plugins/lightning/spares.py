"""Keeps connections open ahead of need, whatever closes them, and hands them out."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from edgevoice.errors import AccountRefused
from edgevoice_plugins.lightning.backoff import Backoff
from edgevoice_plugins.lightning.idle_limit import IdleLimit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

logger = logging.getLogger(__name__)

LASTING = 3.0
"""Seconds idle after which a fresh connection that is lost counts as having been good."""
SLACK = 0.01
"""Seconds that a timer may be early."""


class Spare(Protocol):
    """A connection that can wait for a request."""

    @property
    def used(self) -> bool:
        """Whether a request went over it."""

    @property
    def is_free(self) -> bool:
        """Whether a request could go over it now."""

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` once it is lost, or closed."""

    async def close(self) -> None:
        """Close it in good order, within a second or so."""


S = TypeVar("S", bound=Spare)


@dataclass(frozen=True, slots=True)
class _Rest:
    """Since when a spare is idle, and from when on the server may close it."""

    since: float
    until: float


class Spares(Generic[S]):
    """One is kept, or as many as were ever taken at once: up to `most`.

    Everything here runs in the background of the event loop until `close`. `what` names one in the log.
    """

    def __init__(self, what: str, dial: Callable[[], Awaitable[S]], *, most: int = 1) -> None:
        self._what = what
        self._open = dial
        self._most = most
        self._idle: dict[S, _Rest] = {}
        self._taken = 0
        self._wanted = 1
        self._dialing: set[asyncio.Task[S]] = set()
        self._review: asyncio.TimerHandle | None = None
        self._backoff = Backoff(self.open_ahead)
        self._limit = IdleLimit()
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    @property
    def is_warm(self) -> bool:
        """Whether one is open that a request could take now."""
        return any(spare.is_free for spare in self._idle)

    def open_ahead(self) -> None:
        """Begin to open what is missing."""
        lasting = len(self._lasting())
        if self._closed or (lasting and self._backoff.is_pending):
            return
        for _ in range(lasting + len(self._dialing) + self._taken, self._wanted):
            self._dial()

    async def close(self) -> None:
        self._closed = True
        self._backoff.cancel()
        if self._review:
            self._review.cancel()
        for dialing in self._dialing:
            dialing.cancel()
        for spare in list(self._idle):
            self._hang_up(spare)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def take(self) -> tuple[S, bool]:
        """One for a request, to be used with `held`; and whether it had been open before.

        Raises:
            Exception: none can be opened; what `dial` raises.
        """
        if kept := self._pop():
            return kept, True
        dialing = next(iter(self._dialing), None) or self._dial()
        # A cancelled caller must not take the dialing with it, nor others who wait for it.
        await asyncio.wait({dialing})
        if kept := self._pop():
            return kept, False
        if dialing.done() and not dialing.cancelled() and (error := dialing.exception()):
            raise error
        return await self._new(), False

    @contextmanager
    def held(self, spare: S) -> Iterator[S]:
        """Hold one for a request; if it is free at the end it is kept, else closed and replaced."""
        self._taken += 1
        self._wanted = min(max(self._taken, self._wanted), self._most)
        try:
            yield spare
        finally:
            self._taken -= 1
            self._keep(spare)
            self.open_ahead()

    def _pop(self) -> S | None:
        for spare in reversed(self._idle):
            if spare.is_free:
                del self._idle[spare]
                return spare
        return None

    def _keep(self, spare: S) -> None:
        if self._closed or not spare.is_free or len(self._lasting()) + self._taken >= self._most:
            self._hang_up(spare)
            return
        now = asyncio.get_running_loop().time()
        after = self._limit.renewal(used=spare.used, now=now)
        self._idle[spare] = _Rest(now, math.inf if after is None else now + after)
        self._drop_due()

    def _lasting(self) -> list[S]:
        """Those idle that the server will keep for now."""
        now = asyncio.get_running_loop().time() + SLACK
        return [spare for spare, rest in self._idle.items() if rest.until > now and spare.is_free]

    def _drop_due(self) -> None:
        """Close those that the server is about to close, once there is another; look again when one is due."""
        if self._review:
            self._review.cancel()
            self._review = None
        lasting = self._lasting()
        if not lasting:
            return
        for spare in self._idle.keys() - lasting:
            self._hang_up(spare)
        due = min(rest.until for rest in self._idle.values())
        if due < math.inf:
            self._review = asyncio.get_running_loop().call_at(due, self._renew)

    def _renew(self) -> None:
        self._drop_due()
        self.open_ahead()

    def _lost(self, spare: S) -> None:
        rest = self._idle.get(spare)
        if rest is None:
            return
        self._hang_up(spare)
        now = asyncio.get_running_loop().time()
        lasted = now - rest.since >= LASTING
        if lasted:
            self._limit.ended(now - rest.since, used=spare.used, now=now)
        self._replace(at_once=lasted or spare.used)

    def _replace(self, *, at_once: bool) -> None:
        if at_once:
            self._backoff.reset()
            self.open_ahead()
        elif not self._closed:
            self._backoff.later()

    def _hang_up(self, spare: S) -> None:
        self._idle.pop(spare, None)
        self._background(asyncio.create_task(spare.close(), name=f"closes a {self._what}"))

    def _dial(self) -> asyncio.Task[S]:
        self._backoff.cancel()
        dialing = asyncio.create_task(self._new(), name=f"opens a {self._what}")
        self._dialing.add(dialing)
        self._background(dialing)
        dialing.add_done_callback(self._dialed)
        return dialing

    async def _new(self) -> S:
        spare = await self._open()
        spare.when_lost(lambda: self._lost(spare))
        return spare

    def _dialed(self, dialing: asyncio.Task[S]) -> None:
        self._dialing.discard(dialing)
        if dialing.cancelled():
            return
        error = dialing.exception()
        if error is None:
            spare = dialing.result()
            self._keep(spare)
            if not spare.is_free:
                self._replace(at_once=spare.used)
        elif isinstance(error, AccountRefused):
            logger.debug("no %s: %s", self._what, error)  # it is told by the next request, which asks again
        else:
            level = logging.INFO if self._backoff.is_first else logging.DEBUG
            logger.log(level, "no %s to the Lightning server: %s", self._what, error)
            self._replace(at_once=False)

    def _background(self, task: asyncio.Task[object]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
