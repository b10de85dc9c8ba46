"""An open WebSocket to a Lightning server, which notices at once when the server closes it.

A read is always pending: without one, a message sent on a connection that the server has closed is lost
without an error (docs/decisions/websocket-line.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from edgevoice import TransportError
from edgevoice_plugins.lightning.errors import ConnectionLostError, connection_error
from edgevoice_plugins.lightning.protocol.errors import status_error
from edgevoice_plugins.lightning.protocol.reply import Chunk, Reply, read_frame
from edgevoice_plugins.lightning.protocol.request import PATH_LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice_plugins.lightning.limits import Limits
    from edgevoice_plugins.lightning.options import Endpoint

#: Seconds without a message after which the server shall close the connection; its default is 60.
SERVER_IDLE_TIMEOUT_S = 3600
#: Seconds that the server has to answer a close.
CLOSE_TIMEOUT_S = 1.0
MAX_FRAME_BYTES = 4 * 1024 * 1024
#: Frames that wait to be read before the server has to wait.
MAX_QUEUED_FRAMES = 32


async def connect(session: aiohttp.ClientSession, endpoint: Endpoint, limits: Limits) -> WsConnection:
    """Open a connection.

    Raises:
        AccountRefused: the upgrade was answered with 401, 402, 403 or 410.
        TransportError: the upgrade was refused, or the server cannot be reached.
    """
    try:
        async with asyncio.timeout(limits.upgrade_s):
            socket = await session.ws_connect(
                f"{endpoint.root}{PATH_LIVE}?timeout={SERVER_IDLE_TIMEOUT_S}",
                headers=endpoint.headers,
                heartbeat=limits.heartbeat_s,
                autoping=False,
                compress=0,
                max_msg_size=MAX_FRAME_BYTES,
            )
    except aiohttp.WSServerHandshakeError as error:
        retry_after = error.headers.get("Retry-After") if error.headers else None
        raise status_error(error.status, b"no WebSocket", retry_after) from error
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error, endpoint.root) from error
    return WsConnection(socket, send_timeout_s=limits.heartbeat_s)


class WsConnection:
    """Carries one request at a time; its frames are read from the moment it is open.

    While no request uses it, a frame without audio is ignored. Audio then belongs to an earlier request,
    and closes the connection, so that it is never heard in the next one.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, send_timeout_s: float) -> None:
        self._socket = socket
        self._send_timeout_s = send_timeout_s
        self._busy = False
        self._lost: ConnectionLostError | None = None
        #: Replies, errors, and None for a sign of life.
        self._frames: asyncio.Queue[Reply | TransportError | None] = asyncio.Queue(MAX_QUEUED_FRAMES)
        self._reading = asyncio.create_task(self._read(), name="read a Lightning WebSocket")

    @property
    def is_free(self) -> bool:
        """Whether it can carry a request now."""
        return not self._busy and self._lost is None

    def on_close(self, callback: Callable[[WsConnection], None]) -> None:
        """Call `callback` once the connection is closed or lost."""
        self._reading.add_done_callback(lambda _: callback(self))

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message.

        Raises:
            ConnectionLostError: it cannot be sent.
        """
        self._busy = True
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await self._socket.send_str(msgspec.json.encode(message).decode())
        except (aiohttp.ClientError, OSError) as error:
            self._reading.cancel()
            lost = ConnectionLostError(f"the WebSocket broke: {error or type(error).__name__}")
            raise self._lost or lost from error

    async def reply(self, timeout_s: float | None) -> Reply | None:
        """Return the next reply; None is a sign of life: a ping of the server, or `wake`.

        Raises:
            ConnectionLostError: the connection was lost, and all that came before was read.
            TransportError: an invalid frame.
            TimeoutError: nothing within `timeout_s`.
        """
        if self._frames.empty() and self._lost is not None:
            raise self._lost
        async with asyncio.timeout(timeout_s):
            item = await self._frames.get()
        if isinstance(item, TransportError):
            raise item
        return item

    def release(self) -> None:
        """End the request, which is answered in full: the connection may carry another."""
        self._busy = False
        while not self._frames.empty():
            self._frames.get_nowait()

    async def wake(self) -> None:
        """Make a pending `reply` return None."""
        await self._frames.put(None)

    async def close(self) -> None:
        """Close the connection, and wait shortly for the server to agree."""
        self._reading.cancel()
        await asyncio.wait({self._reading})
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close()

    async def _read(self) -> None:
        try:
            while self._lost is None:
                self._lost = await self._on_message(await self._socket.receive())
        finally:
            self._lost = self._lost or ConnectionLostError("the WebSocket was closed")
            if not self._frames.full():
                self._frames.put_nowait(self._lost)

    async def _on_message(self, message: aiohttp.WSMessage) -> ConnectionLostError | None:
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return await self._on_frame(message.data)
            case aiohttp.WSMsgType.PING:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await self._socket.pong(message.data)
                if self._busy:
                    await self._frames.put(None)
            case aiohttp.WSMsgType.CLOSE | aiohttp.WSMsgType.CLOSED | aiohttp.WSMsgType.CLOSING:
                return ConnectionLostError(
                    f"the server closed the WebSocket (code {self._socket.close_code})"
                )
            case aiohttp.WSMsgType.ERROR:
                return ConnectionLostError(f"the WebSocket broke: {message.data}")
        return None

    async def _on_frame(self, data: str) -> ConnectionLostError | None:
        try:
            item: Reply | TransportError | None = read_frame(data)
        except TransportError as error:
            item = error
        if self._busy:
            if item is not None:
                await self._frames.put(item)
        elif isinstance(item, Chunk | TransportError):
            return ConnectionLostError("the server sent audio that no request asked for")
        return None
