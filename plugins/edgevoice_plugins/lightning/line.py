"""One open WebSocket to a Lightning server: a line, which knows at once when the server gave it up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.exchange import describe
from edgevoice_plugins.lightning.protocol.refusal import refusal
from edgevoice_plugins.lightning.protocol.reply import Chunk, Reply, read_frame
from edgevoice_plugins.lightning.protocol.request import PATH_LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice_plugins.lightning.options import Endpoint

IDLE_LIMIT = 3600
"""Seconds without a message after which the server is asked to give the line up (it would after 60)."""
HEARTBEAT = 25.0
"""Seconds between pings; a line whose server does not answer within half of it is lost."""
UPGRADE = 5.0
"""Seconds until a server must have answered the upgrade."""
LARGEST_FRAME = 4 * 1024 * 1024
WAITING_FRAMES = 32
"""Frames that may wait to be read before the server has to wait."""


class LineLost(TransportError):
    """The line dropped: what was asked on it will not be answered."""


async def dial(endpoint: Endpoint) -> Line:
    """Open a line.

    Raises:
        AccountRefused: the upgrade was answered with 401, 402, 403 or 410.
        TransportError: the upgrade was refused, or the server cannot be reached.
    """
    url = f"{endpoint.root}{PATH_LIVE}?timeout={IDLE_LIMIT}"
    try:
        async with asyncio.timeout(UPGRADE):
            socket = await endpoint.http_session().ws_connect(
                url,
                headers=endpoint.headers,
                heartbeat=HEARTBEAT,
                autoping=False,
                compress=0,
                max_msg_size=LARGEST_FRAME,
            )
    except aiohttp.WSServerHandshakeError as error:
        retry_after = error.headers.get("Retry-After") if error.headers else None
        raise refusal(error.status, b"no WebSocket", retry_after) from error
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(describe(error, endpoint.root)) from error
    return Line(socket)


class Line:
    """A line carries one request at a time; its frames are read from the moment it is open.

    While no request is on it, an event that is no audio is ignored, and audio, which could only be
    that of an earlier request, closes it.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.busy = False
        self.used = False
        self._socket = socket
        self._lost: LineLost | None = None
        self._frames: asyncio.Queue[Reply | TransportError | None] = asyncio.Queue(WAITING_FRAMES)
        self._reading = asyncio.create_task(self._read(), name="lightning line")

    @property
    def is_free(self) -> bool:
        return not self.busy and self._lost is None

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` once the line is lost, or closed."""
        self._reading.add_done_callback(lambda _: tell())

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message.

        Raises:
            LineLost: it cannot be sent.
        """
        self.busy = self.used = True
        try:
            async with asyncio.timeout(HEARTBEAT):
                await self._socket.send_str(msgspec.json.encode(message).decode())
        except (aiohttp.ClientError, OSError) as error:
            self._reading.cancel()
            raise self._lost or LineLost(f"the line broke: {error or type(error).__name__}") from error

    async def reply(self, within: float | None) -> Reply | None:
        """The next reply; None is a mere sign of life: a ping, or `nudge`.

        Raises:
            LineLost: the line dropped, and all that came before was read.
            TransportError: a frame that is wrong.
            TimeoutError: nothing within so many seconds.
        """
        if self._frames.empty() and self._lost is not None:
            raise self._lost
        async with asyncio.timeout(within):
            item = await self._frames.get()
        if isinstance(item, TransportError):
            raise item
        return item

    def finish(self) -> None:
        """The request is answered in full: the line may carry another."""
        self.busy = False
        while not self._frames.empty():
            self._frames.get_nowait()

    async def nudge(self) -> None:
        """Make the one who waits for a reply look up."""
        await self._frames.put(None)

    async def close(self) -> None:
        """Tell the server, and wait a second for its answer."""
        self._reading.cancel()
        await asyncio.wait({self._reading})
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(1):
                await self._socket.close()

    async def _read(self) -> None:
        try:
            while self._lost is None:
                self._lost = await self._take(await self._socket.receive())
        finally:
            self._lost = self._lost or LineLost("the line was closed")
            if not self._frames.full():
                self._frames.put_nowait(self._lost)

    async def _take(self, message: aiohttp.WSMessage) -> LineLost | None:
        """Keep what came; the reason, if the line is lost by it."""
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return await self._take_frame(message.data)
            case aiohttp.WSMsgType.PING:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await self._socket.pong(message.data)
                if self.busy:
                    await self._frames.put(None)
            case aiohttp.WSMsgType.CLOSE | aiohttp.WSMsgType.CLOSED | aiohttp.WSMsgType.CLOSING:
                return LineLost(f"the server closed the line (code {self._socket.close_code})")
            case aiohttp.WSMsgType.ERROR:
                return LineLost(f"the line broke: {message.data}")
        return None

    async def _take_frame(self, data: str) -> LineLost | None:
        try:
            item: Reply | TransportError | None = read_frame(data)
        except TransportError as error:
            item = error
        if self.busy:
            if item is not None:
                await self._frames.put(item)
        elif isinstance(item, Chunk | TransportError):
            return LineLost("the server sent audio that nobody had asked for")
        return None
