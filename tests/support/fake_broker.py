"""Scripted brokers that behave as mosquitto cannot be made to: old, strict or faulty ones."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@contextlib.asynccontextmanager
async def serving(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Run `answer` for each connection; yield the port."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answer(reader, writer)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(connection, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def packet(reader: asyncio.StreamReader) -> bytes:
    """Return the body of the next MQTT packet."""
    await reader.readexactly(1)
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return await reader.readexactly(length)
