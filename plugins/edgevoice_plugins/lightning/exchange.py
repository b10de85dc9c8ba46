"""One HTTP exchange with a Lightning server: the request made, its refusals raised, its body bounded."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.refusal import refusal
from edgevoice_plugins.lightning.protocol.reply import preview
from edgevoice_plugins.lightning.samples import FIRST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice.plugin import SpeechRequest
    from edgevoice_plugins.lightning.connections import Connections
    from edgevoice_plugins.lightning.options import Endpoint

CHUNK = 64 * 1024
GIVEN_UP = 408
"""What some servers say on a connection that was idle for too long, before they close it."""
LARGEST_HEAD = 4096
"""Bytes of a body that is no speech which are looked at."""
CHARS_PER_SECOND = 15
"""How fast speech reads a text, roughly."""


def patience(request: SpeechRequest) -> float:
    """Seconds that a whole reply may take: three times as long as saying it, and what a slow server takes to begin."""
    chars = len(request.text or "")
    return FIRST + 3 * chars / CHARS_PER_SECOND / request.speed


@asynccontextmanager
async def posted(
    endpoint: Endpoint,
    connections: Connections,
    path: str,
    body: dict[str, Any],
    *,
    accept: str,
    within: float,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """POST `body` and give the reply, whose status is 200; a reply not read to its end is cut off.

    `within` is the seconds that the server may take to begin its reply.

    Raises:
        AccountRefused: for 401, 402, 403, 410.
        TransportError: any other status, a connection that fails or breaks, a reply that is compressed
            or no stream where one was asked for. Also from the reading that happens inside.
    """
    url = endpoint.root + path
    headers = {**endpoint.headers, "Content-Type": "application/json", "Accept": accept}
    try:
        with ExitStack() as stack:
            async with asyncio.timeout(within):
                connection, kept = await connections.take()
                stack.enter_context(connections.held(connection))
                connection.lend()
                data = msgspec.json.encode(body)
                waited = kept or connection.used
                reply = await _reply(endpoint.http_session(), url, headers, data, waited=waited)
            stack.callback(reply.close)
            await check(reply, accept)
            yield reply
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(describe(error, endpoint.root)) from error


async def _reply(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], data: bytes, *, waited: bool
) -> aiohttp.ClientResponse:
    # Every wait on this reply has a deadline of its own, with words that say what was waited for.
    timeout = aiohttp.ClientTimeout(total=None, connect=session.timeout.connect)
    try:
        reply = await session.post(url, data=data, headers=headers, timeout=timeout)
        if not (waited and reply.status == GIVEN_UP):
            return reply
        reply.close()
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        if not waited:
            raise
    # The server gave the idle connection up as the request left: that is no answer yet.
    return await session.post(url, data=data, headers=headers, timeout=timeout)


async def check(reply: aiohttp.ClientResponse, accept: str) -> None:
    """See that a reply is what was asked for.

    Raises:
        AccountRefused, TransportError: it is not.
    """
    if reply.status != 200:
        raise refusal(reply.status, await head(reply), reply.headers.get("Retry-After"))
    if (encoding := reply.headers.get("Content-Encoding", "identity")).lower() != "identity":
        raise TransportError(
            f"the server sent a reply compressed as {encoding[:20]!r}, which was not asked for"
        )
    if accept == "text/event-stream" != reply.content_type:
        shown = preview(await head(reply))
        raise TransportError(f"the server sent {reply.content_type} in place of a stream: {shown}")


async def head(reply: aiohttp.ClientResponse) -> bytes:
    """The first bytes of a body, as far as they are there soon: enough to say what it is."""
    try:
        async with asyncio.timeout(2):
            return await reply.content.read(LARGEST_HEAD)
    except (TimeoutError, aiohttp.ClientError):
        return b""


async def let_end(reply: aiohttp.ClientResponse) -> None:
    """Let a reply that said all come to its end, so that its connection can be used again.

    A server that lingers, or says more, loses the connection instead.
    """
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(0.2):
            await reply.content.readany()


async def whole_body(reply: aiohttp.ClientResponse, *, most: int, within: float) -> bytes:
    """The whole body.

    Raises:
        TransportError: more than `most` bytes, or not whole after `within` seconds.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(within):
            async for piece in reply.content.iter_chunked(CHUNK):
                body += piece
                if len(body) > most:
                    raise TransportError(f"the server sent more than {most} bytes")
    except TimeoutError as error:
        raise TransportError(f"the server did not send all within {within:.0f} s") from error
    return bytes(body)


def describe(error: Exception, root: str) -> str:
    """A sentence on a connection that failed; it never holds the key."""
    match error:
        case aiohttp.TooManyRedirects():
            return (
                f"{root} answers {error.status}: {error.message}; set lightning.base_url to the right address"
            )
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return f"no trusted TLS connection to {root}: {error}"
        case aiohttp.ClientConnectorError():
            return f"cannot reach {root}: {error.os_error.strerror or error.os_error}"
        case TimeoutError():
            return f"{root} does not answer in time"
    return f"the connection to {root} broke: {error or type(error).__name__}"
