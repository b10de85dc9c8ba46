"""The one HTTP session that all plugins share: pooled connections, no redirects, nothing decompressed."""

from __future__ import annotations

import contextlib
import socket
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp

from edgevoice import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

#: Seconds for name resolution, TCP and TLS together.
CONNECT_TIMEOUT_S = 3.0
#: Seconds that an idle connection stays in the pool. Servers close it sooner; `ConnectionCounter` tells.
KEEP_ALIVE_S = 3600.0
#: Seconds until an idle peer is probed, which also keeps NAT tables alive, and between probes.
PROBE_AFTER_S, PROBE_EVERY_S = 25, 5
#: Milliseconds that sent data may stay unacknowledged before the connection counts as dead.
UNACKNOWLEDGED_MS = 3000


def open_session(ssl_context: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """Open the session; the caller closes it.

    Environment proxies, cookies and `~/.netrc` are ignored. A redirect raises `TooManyRedirects`, also
    for a WebSocket, so that the API key never goes to another address. Without `ssl_context`,
    certificates are verified against those of the system.
    """
    connector = aiohttp.TCPConnector(
        keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=60, ssl=ssl_context or True, socket_factory=_Socket.open
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=60, connect=CONNECT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
        headers={"User-Agent": f"EdgeVoice/{__version__}", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        middlewares=(_refuse_redirect,),
    )


class ConnectionCounter:
    """The number of connections in the pool that a group of requests has opened and that are still open.

    aiohttp looks at a pooled connection only when it needs one, and has no event for its end. So each
    socket reports its own end to the counter whose `counting` block opened it.
    """

    def __init__(self, on_close: Callable[[], None]) -> None:
        """`on_close` is called after each connection that was closed, from the event loop."""
        #: Connections that are open, or being opened.
        self.open = 0
        self._on_close = on_close

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count the connections that are opened inside the block, by this task and those it starts."""
        token = _counter.set(self)
        try:
            yield
        finally:
            _counter.reset(token)

    def _closed(self) -> None:
        self.open -= 1
        self._on_close()


_counter: ContextVar[ConnectionCounter | None] = ContextVar("connection counter", default=None)


class _Socket(socket.socket):
    """A socket that notices dead peers, and tells its counter when it is closed."""

    _counted_by: ConnectionCounter | None = None

    @classmethod
    def open(cls, address: aiohttp.AddrInfoType) -> _Socket:
        family, kind, protocol, _, _ = address
        opened = cls(family, kind, protocol)
        with contextlib.suppress(OSError):  # not every system has these options
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if sys.platform == "linux":
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER_S)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY_S)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        if (counter := _counter.get()) is not None:
            opened._counted_by = counter
            counter.open += 1
        return opened

    def close(self) -> None:
        super().close()
        counter, self._counted_by = self._counted_by, None
        if counter is not None:
            counter._closed()  # noqa: SLF001 - the other half of this mechanism


async def _refuse_redirect(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # Here and not by allow_redirects: ws_connect has no such argument and would follow.
    reply = await handler(request)
    if 300 <= reply.status < 400:
        reply.close()
        raise aiohttp.TooManyRedirects(
            reply.request_info,
            reply.history,
            status=reply.status,
            message="the server redirects, which is not followed",
        )
    return reply
