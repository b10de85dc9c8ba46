"""A TCP relay that adds round-trip time."""

from __future__ import annotations

import asyncio
import contextlib
import time

PIECE = 65536
PIECES = 4096


class Relay:
    """Delays all data by half a round trip, and the first data of a connection by one round trip more."""

    def __init__(self, target: int, rtt_ms: float) -> None:
        self._target = target
        self._rtt = rtt_ms / 1000

    async def listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        connected = time.monotonic() + self._rtt
        await asyncio.gather(
            self._pass(reader, to_there, connected),
            self._pass(there, writer, connected),
            return_exceptions=True,
        )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connected: float
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)
        arriving = asyncio.create_task(self._deliver(under_way, writer))
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                await under_way.put((max(time.monotonic(), connected) + self._rtt / 2, piece))
        await under_way.put((time.monotonic() + self._rtt / 2, b""))
        await arriving

    @staticmethod
    async def _deliver(under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                due, piece = await under_way.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
        writer.close()
