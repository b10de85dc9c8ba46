"""The one HTTP session that all plugins share: warm connections, no redirects, nothing decompressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from edgevoice import __version__

if TYPE_CHECKING:
    from types import SimpleNamespace

CONNECT = 3.0
"""Seconds for name, TCP and TLS; whoever does not answer by then is tried no further."""
WARM = 120.0
"""Seconds that a connection without a request is kept."""


def open_session() -> aiohttp.ClientSession:
    """Open the session; whoever calls this closes it.

    Environment proxies, cookies and `~/.netrc` have no say. A redirect raises `TooManyRedirects`, also
    for a WebSocket, so that the API key never goes to another address. A request made with
    `trace_request_ctx=Trace()` learns there whether it went over a connection used before.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(keepalive_timeout=WARM, ttl_dns_cache=60),
        timeout=aiohttp.ClientTimeout(total=60, connect=CONNECT, sock_connect=CONNECT),
        headers={"User-Agent": f"EdgeVoice/{__version__}", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        middlewares=(_refuse_redirect,),
        trace_configs=[_reuse_trace()],
    )


class Trace:
    """What became known about one request while it was made."""

    def __init__(self) -> None:
        self.reused = False


def _reuse_trace() -> aiohttp.TraceConfig:
    async def mark(
        _session: aiohttp.ClientSession, given: SimpleNamespace, _: aiohttp.TraceConnectionReuseconnParams
    ) -> None:
        trace = given.trace_request_ctx
        if isinstance(trace, Trace):
            trace.reused = True

    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(mark)
    return config


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
