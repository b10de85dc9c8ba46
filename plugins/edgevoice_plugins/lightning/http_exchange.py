"""An HTTP exchange with a Lightning server: the request, the check of its answer, and the bounded body."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from edgevoice import TransportError
from edgevoice_plugins.lightning.errors import connection_error
from edgevoice_plugins.lightning.protocol.errors import status_error
from edgevoice_plugins.lightning.protocol.reply import preview

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import SpeechRequest
    from edgevoice_plugins.lightning.http_connection import HttpConnection

READ_BYTES = 64 * 1024
#: Bytes of the body of an error that are read.
MAX_ERROR_BYTES = 4096
#: Speaking rate at speed 1, roughly.
CHARS_PER_SECOND = 15


def reply_timeout_s(request: SpeechRequest, first_audio_s: float) -> float:
    """Return the time for a whole reply: three times its duration, and the time for a slow server to begin."""
    return first_audio_s + 3 * len(request.text or "") / CHARS_PER_SECOND / request.speed


@asynccontextmanager
async def exchange(
    connection: HttpConnection, root: str, path: str, body: dict[str, Any], *, accept: str, timeout_s: float
) -> AsyncIterator[aiohttp.ClientResponse]:
    """POST `body` and yield the reply, whose status is 200; a reply that is not read to its end is cut off.

    The server must begin its reply within `timeout_s`.

    Raises:
        AccountRefused: for 401, 402, 403, 410.
        TransportError: any other status; a connection that fails or breaks, also inside the block; a
            reply that is compressed, or no event stream where `accept` asks for one.
    """
    try:
        with connection.in_use():
            async with asyncio.timeout(timeout_s):
                reply = await connection.post(path, body, accept)
            try:
                await check_reply(reply, accept)
                yield reply
            finally:
                reply.close()
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error, root) from error


async def check_reply(reply: aiohttp.ClientResponse, accept: str) -> None:
    """Check status, encoding and type of a reply.

    Raises:
        AccountRefused, TransportError: the reply is not what was asked for.
    """
    if reply.status != 200:
        raise status_error(reply.status, await _read_head(reply), reply.headers.get("Retry-After"))
    if (encoding := reply.headers.get("Content-Encoding", "identity")).lower() != "identity":
        raise TransportError(f"the server compressed its reply as {encoding[:20]!r}, which was not asked for")
    if accept == "text/event-stream" != reply.content_type:
        shown = preview(await _read_head(reply))
        raise TransportError(f"the server sent {reply.content_type} instead of an event stream: {shown}")


async def read_body(reply: aiohttp.ClientResponse, *, max_bytes: int, timeout_s: float) -> bytes:
    """Return the whole body.

    Raises:
        TransportError: more than `max_bytes`, or not complete within `timeout_s`.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in reply.content.iter_chunked(READ_BYTES):
                body += piece
                if len(body) > max_bytes:
                    raise TransportError(f"the server sent more than {max_bytes} bytes")
    except TimeoutError as error:
        raise TransportError(f"the server did not complete its reply within {timeout_s:.0f} s") from error
    return bytes(body)


async def _read_head(reply: aiohttp.ClientResponse) -> bytes:
    try:
        async with asyncio.timeout(2):
            return await reply.content.read(MAX_ERROR_BYTES)
    except (TimeoutError, aiohttp.ClientError):
        return b""
