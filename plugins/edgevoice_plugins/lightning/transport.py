"""The base of the Lightning transports, whose connections are opened ahead of need, and its limits.

The transports over HTTP share one pooled connection (`http_connection`); `websocket` keeps one WebSocket open
(`ws_connection`). `ConnectionKeeper` decides for both when to open: at the start, after a close, before the idle
limit. Why ahead, and what it saves: docs/decisions/warm-connections.md.

    closed ──open_now──► opening ──opened──► idle ◄──release / acquire──► in use
      ▲                     │                  │
      │◄── failed: retry after the backoff     │ closed by the server: open again, at once if it had
      └────────────────────────────────────────┘ settled or a request used it, else after the backoff
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, Self, TypeVar

from edgevoice import AccountRefused, Backoff, Transport, TransportError
from edgevoice_plugins.lightning.options import (
    LightningOptions,
    api_key,
    endpoint,
    option_issues,
    option_warnings,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from edgevoice import Context, SpeechRequest

logger = logging.getLogger(__name__)

#: The share of the server's idle limit after which an idle connection is used or replaced.
RENEWAL_SHARE = 0.8
#: Seconds for which a learned idle limit is believed: the server may have changed.
LIMIT_VALID_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a connection; tests pass shorter ones."""

    #: Wait for the first audio of a request. The core gives up sooner where another transport is left.
    first_audio_s: float = 60.0
    #: Wait for the next audio of a request whose audio has begun.
    stall_s: float = 10.0
    #: Audio of one reply. A server that sends more never ends.
    max_audio_s: float = 65 * 60
    #: Body of one whole reply: three minutes at 44100 Hz.
    max_body_bytes: int = 16 * 1024 * 1024

    #: Silence after which a text stream counts as spoken: the protocol has no frame that says so.
    quiet_s: float = 0.6
    #: The same while the audio is shorter than the text: another segment may still come.
    quiet_if_short_s: float = 2.0

    #: Answer to a WebSocket upgrade.
    upgrade_s: float = 5.0
    #: Interval of WebSocket pings. A connection whose server does not answer within half of it is lost.
    heartbeat_s: float = 25.0

    #: Delay of the first connection after the daemon is ready: importing aiohttp takes a tenth of a second.
    start_delay_s: float = 1.0
    #: Idle time after which a close is the server's idle limit; a connection closed sooner was never good.
    settled_s: float = 3.0
    #: Delay before a connection that could not be opened is tried again, doubled up to `max_retry_s`.
    retry_s: float = 0.5
    max_retry_s: float = 60.0


class WarmConnection(Protocol):
    """A connection, or a pool of them, that can be opened ahead of need."""

    @property
    def is_warm(self) -> bool:
        """Whether a connection is open that no request uses."""

    def open_ahead(self) -> None:
        """Begin to open a connection, and keep one open from now on."""

    async def close(self) -> None:
        """Open no more connections."""


C = TypeVar("C", bound=WarmConnection)


class WarmTransport(Transport, Generic[C]):
    """A transport of the Lightning account, whose connection is open before a request needs it."""

    options = LightningOptions
    section: ClassVar[str | None] = "lightning"
    account: ClassVar[str | None] = "lightning"
    #: The module that imports aiohttp. It is imported in a thread once the daemon is ready.
    heavy_module: ClassVar[str]

    def __init__(self, context: Context, options: LightningOptions, limits: Limits | None = None) -> None:
        super().__init__(context, options)
        self.lightning = options
        self.limits = limits or Limits()
        self.endpoint = endpoint(options, context)
        self._connection: C | None = None

    @classmethod
    def validate_options(cls, options: LightningOptions) -> list[tuple[str, str]]:
        return option_issues(options)

    @classmethod
    def option_warnings(cls, options: LightningOptions) -> list[tuple[str, str]]:
        return option_warnings(options)

    @classmethod
    def unavailable_reason(cls, options: LightningOptions) -> str | None:
        if options.base_url is None and api_key(options) is None:
            return "there is no API key: set lightning.api_key_file"
        return None

    @classmethod
    def voice_identity(cls, options: LightningOptions, request: SpeechRequest) -> str | None:
        voice = request.voice or options.voice
        parts = (options.root, options.model, voice, request.language, float(request.speed))
        return repr((*parts, options.pronunciation_dicts))

    @abstractmethod
    def make_connection(self) -> C:
        """Make the connection, without opening it; this may import aiohttp."""

    @property
    def connection(self) -> C:
        """The connection, made at its first use."""
        if self._connection is None:
            self._connection = self.make_connection()
        return self._connection

    @property
    def is_warm(self) -> bool:
        return self._connection is not None and self._connection.is_warm

    async def __aenter__(self) -> Self:
        self._opening = asyncio.create_task(self._open_ahead(), name="open Lightning connections")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opening.cancel()
        await asyncio.wait({self._opening})
        if self._connection is not None:
            await self._connection.close()

    async def _open_ahead(self) -> None:
        await self.context.ready.wait()
        if "aiohttp" not in sys.modules:
            await asyncio.sleep(self.limits.start_delay_s)
        try:
            await asyncio.to_thread(importlib.import_module, self.heavy_module)
            self.connection.open_ahead()
        except Exception:
            logger.exception("cannot open a connection ahead; each request will open its own")


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
