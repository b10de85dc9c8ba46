"""Decides when a connection is opened ahead of need: at the start, after a close, before the idle limit.

Two kinds of connection use it: the pooled HTTP connection (`http_connection`) and the open WebSocket
(`pool`). Why ahead, and what it saves: docs/decisions/warm-connections.md.

    closed ──open_now──► opening ──opened──► idle ◄──release / acquire──► in use
      ▲                     │                  │
      │◄── failed: retry after the backoff     │ closed by the server: open again, at once if it had
      └────────────────────────────────────────┘ settled or a request used it, else after the backoff
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edgevoice import AccountRefused, Backoff, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edgevoice_plugins.lightning.limits import Limits

logger = logging.getLogger(__name__)

#: The share of the server's idle limit after which an idle connection is used or replaced.
RENEWAL_SHARE = 0.8
#: Seconds for which a learned idle limit is believed: the server may have changed.
LIMIT_VALID_S = 3600.0


class IdleLimit:
    """The time after which a server closes an idle connection, learned from closes; `now` is monotonic."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._limit_s = 0.0
        self._learned_at: float | None = None

    def closed_after(self, idle_s: float, now: float) -> None:
        """Note a close. One may be chance; two after about the same time are a limit."""
        if self._last_s is not None and abs(idle_s - self._last_s) <= 0.1 + 0.1 * idle_s:
            self._limit_s, self._learned_at = min(idle_s, self._last_s), now
        self._last_s = idle_s

    def renewal_s(self, now: float) -> float | None:
        """Return the idle time after which to use or replace a connection; None while no limit is known."""
        if self._learned_at is None or now - self._learned_at > LIMIT_VALID_S:
            return None
        return self._limit_s * RENEWAL_SHARE


class ConnectionKeeper:
    """Runs `connect` in the background whenever a connection should be opened, one at a time.

    The owner says what happens to its connection with `idle`, `in_use` and `lost`. Nothing happens
    before `open_now`, and nothing after `close`.
    """

    def __init__(self, name: str, connect: Callable[[], Awaitable[None]], limits: Limits) -> None:
        """`connect` opens a connection and calls `idle`; it raises `TransportError` where it cannot."""
        self._name = name
        self._connect = connect
        self._settled_s = limits.settled_s
        self._backoff = Backoff(limits.retry_s, limits.max_retry_s)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[TransportError | None] | None = None
        self._closed = False
        self._idle_since = self._loop.time()
        self._unused = True
        self._idle_limit = IdleLimit()

    @property
    def is_opening(self) -> bool:
        """Whether `connect` is running."""
        return self._opening is not None and not self._opening.done()

    def open_now(self) -> asyncio.Task[TransportError | None]:
        """Open a connection, or join the opening in progress; the task's result is the error, if any."""
        self._cancel_timer()
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(), name=f"open {self._name}")
        return self._opening

    def idle(self, *, unused: bool) -> None:
        """A connection is idle from now on; `unused` if no request was sent on it yet."""
        self._idle_since = now = self._loop.time()
        self._unused = unused
        if (renewal_s := self._idle_limit.renewal_s(now)) is not None:
            self._open_at(now + renewal_s)

    def in_use(self) -> None:
        """A request took the connection."""
        self._cancel_timer()

    def missing(self) -> None:
        """A request ended, and left no connection."""
        self._open_at(self._loop.time())

    def lost(self) -> None:
        """The idle connection was closed by the server."""
        now = self._loop.time()
        idle_s = now - self._idle_since
        if idle_s >= self._settled_s:
            self._idle_limit.closed_after(idle_s, now)
        elif self._unused:
            self._open_at(now + self._backoff.next_delay_s())
            return
        self._backoff.reset()
        self._open_at(now)

    async def close(self) -> None:
        """Stop opening connections."""
        self._closed = True
        self._cancel_timer()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})

    async def _open(self) -> TransportError | None:
        try:
            await self._connect()
        except AccountRefused as error:
            # Not tried again before a request asks: it reports the refusal.
            logger.debug("cannot open %s: %s", self._name, error)
            return error
        except TransportError as error:
            level = logging.DEBUG if self._backoff.failures else logging.INFO
            logger.log(level, "cannot open %s: %s", self._name, error)
            self._open_at(self._loop.time() + self._backoff.next_delay_s())
            return error
        return None

    def _open_at(self, when: float) -> None:
        self._cancel_timer()
        if not self._closed:
            self._timer = self._loop.call_at(when, self.open_now)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
