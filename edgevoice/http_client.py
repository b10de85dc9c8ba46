"""The one HTTP session that all plugins share: warm connections, no redirects, nothing decompressed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import aiohttp
import aiohttp.tracing
from yarl import URL

from edgevoice import __version__

if TYPE_CHECKING:
    from aiohttp.connector import Connection

CONNECT = 3.0
"""Seconds for name, TCP and TLS; whoever does not answer by then is tried no further."""
WARM = 120.0
"""Seconds that a connection without a request is kept."""
PROBE_AFTER, PROBE_EVERY = 25, 5
"""Seconds until an idle peer is probed, which also keeps NAT tables alive, and between probes."""
UNANSWERED = 3000
"""Milliseconds that what was sent may stay unacknowledged before the connection counts as dead."""


def open_session() -> aiohttp.ClientSession:
    """Open the session; whoever calls this closes it.

    Environment proxies, cookies and `~/.netrc` have no say. A redirect raises `TooManyRedirects`, also
    for a WebSocket, so that the API key never goes to another address.
    """
    connector = aiohttp.TCPConnector(
        keepalive_timeout=WARM, ttl_dns_cache=60, ssl=SessionResumingContext(), socket_factory=_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=60, connect=CONNECT, sock_connect=CONNECT),
        headers={"User-Agent": f"EdgeVoice/{__version__}", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        middlewares=(_refuse_redirect,),
    )


async def acquire_connection(session: aiohttp.ClientSession, url: str) -> tuple[Connection, bool]:
    """A connection for a request to `url`, out of the session's pool or opened; and whether it was used before.

    Once released it is in the pool, and the next request takes it.

    Raises:
        aiohttp.ClientError, OSError: it cannot be opened.
    """
    connector = session.connector
    if connector is None:
        raise aiohttp.ClientConnectionError("the session is closed")
    used = SimpleNamespace(reused=False)
    trace = aiohttp.tracing.Trace(session, _REUSE, used)
    request = aiohttp.ClientRequest("GET", URL(url), loop=asyncio.get_running_loop())
    return await connector.connect(request, [trace], session.timeout), used.reused


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    with contextlib.suppress(OSError):  # a system that knows no such option does without
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED)
    return opened


async def _note_reuse(
    _session: aiohttp.ClientSession, used: SimpleNamespace, _: aiohttp.TraceConnectionReuseconnParams
) -> None:
    used.reused = True


_REUSE = aiohttp.TraceConfig()
"""Tells that a connection came out of the pool. Not for the whole session: requests that are traced take longer."""
_REUSE.on_connection_reuseconn.append(_note_reuse)
_REUSE.freeze()


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


class SessionResumingContext(ssl.SSLContext):
    """A client's context that verifies certificates, and is spared most of a handshake it had before.

    asyncio hands no session on, so that is done here, where it wraps each connection. TLS 1.3 sends its
    tickets after the handshake: the newest connection is asked for its session as late as can be.
    """

    def __new__(cls) -> SessionResumingContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self) -> None:
        self.set_alpn_protocols(["http/1.1"])
        self._trusts = False
        self._newest: dict[str | None, ssl.SSLObject] = {}
        self._sessions: dict[str | None, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        if not self._trusts:
            self.load_default_certs()  # a megabyte and 20 ms that a server without TLS does not need
            self._trusts = True
        name = server_hostname.decode() if isinstance(server_hostname, bytes) else server_hostname
        if newest := _resumable(self._newest.get(name)):
            self._sessions[name] = newest
        session = session or self._sessions.get(name)
        connection = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        self._newest[name] = connection
        return connection


def _resumable(connection: ssl.SSLObject | None) -> ssl.SSLSession | None:
    """The session of a connection, if it got as far as to have one that another can resume."""
    session = connection.session if connection else None
    if connection is None or session is None:
        return None
    return session if session.has_ticket or connection.version() != "TLSv1.3" else None
