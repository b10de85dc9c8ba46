"""The WebSockets to a Lightning server: one is kept open, and more are opened while requests overlap.

Each notices at once when the server closes it. A read is always pending: without one, a message sent on a
connection that the server has closed is lost without an error (docs/decisions/websocket-line.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from edgevoice import TransportError, open_http_session
from edgevoice_plugins.lightning.errors import ConnectionLostError, connection_error
from edgevoice_plugins.lightning.protocol.errors import status_error
from edgevoice_plugins.lightning.protocol.reply import Chunk, Reply, read_frame
from edgevoice_plugins.lightning.protocol.request import PATH_LIVE
from edgevoice_plugins.lightning.transport import ConnectionKeeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice_plugins.lightning.options import Endpoint
    from edgevoice_plugins.lightning.transport import Limits

#: Seconds without a message after which the server shall close the connection; its default is 60.
SERVER_IDLE_TIMEOUT_S = 3600
#: Seconds that the server has to answer a close.
CLOSE_TIMEOUT_S = 1.0
MAX_FRAME_BYTES = 4 * 1024 * 1024
#: Frames that wait to be read before the server has to wait.
MAX_QUEUED_FRAMES = 32
#: Seconds that the end of a cancelled request waits for the server to close the WebSocket. An urgent request
#: may wait behind it, so a server that is farther away than this is not waited for.
CLOSE_WAIT_S = 0.05


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


class ConnectionPool:
    """Lends its open WebSocket to a request, and keeps it if it can carry another request."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        # A session of its own: in the shared one an upgrade would take the idle HTTP connection.
        self._session = open_http_session()
        self._endpoint = endpoint
        self._limits = limits
        self._idle: WsConnection | None = None
        self._requests = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._keeper = ConnectionKeeper("a WebSocket", self._open, limits)

    @property
    def is_warm(self) -> bool:
        """Whether a WebSocket is open that no request uses."""
        return self._idle is not None and self._idle.is_free

    def open_ahead(self) -> None:
        """Begin to open the WebSocket, unless one is open."""
        if not (self.is_warm or self._requests):
            self._keeper.open_now()

    async def close(self) -> None:
        """Close the idle WebSocket and open no more. WebSockets in use are closed by their requests."""
        self._closed = True
        await self._keeper.close()
        if self._idle is not None:
            self._discard(self._idle)
        while self._closing:
            await asyncio.wait(self._closing)
        await self._session.close()

    async def acquire(self) -> tuple[WsConnection, bool]:
        """Return a WebSocket for a request, to be used in `in_use`, and whether it was open before.

        Raises:
            AccountRefused, TransportError: none can be opened.
        """
        if (connection := self._pop()) is not None:
            return connection, True
        opening = self._keeper.open_now()
        # A cancelled request must not cancel the opening: other requests may wait for it.
        await asyncio.wait({opening})
        if (connection := self._pop()) is not None:
            return connection, False
        if opening.cancelled():
            raise TransportError("the transport was closed")
        if (error := opening.result()) is not None:
            raise error
        return await self._new(), False  # another request took the one that was opened

    @asynccontextmanager
    async def in_use(self, connection: WsConnection) -> AsyncIterator[None]:
        """Use a WebSocket for a request; afterwards it is kept if it is free, else closed and replaced."""
        self._keeper.in_use()
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if connection.is_free:
                self._keep(connection, unused=False)
            else:
                # An account's slot is free only once the server knows that this request has ended.
                await asyncio.wait({self._discard(connection)}, timeout=CLOSE_WAIT_S)
            if not (self.is_warm or self._requests or self._closed):
                self._keeper.missing()

    async def _open(self) -> None:
        self._keep(await self._new(), unused=True)

    async def _new(self) -> WsConnection:
        connection = await connect(self._session, self._endpoint, self._limits)
        connection.on_close(self._lost)
        return connection

    def _keep(self, connection: WsConnection, *, unused: bool) -> None:
        # A new connection replaces an idle one, which the server is about to close.
        older = self._idle if self.is_warm else None
        if self._closed or (older is not None and not unused):
            self._discard(connection)
            return
        self._idle = connection
        if older is not None:
            self._discard(older)
        self._keeper.idle(unused=unused)

    def _pop(self) -> WsConnection | None:
        connection, self._idle = self._idle, None
        if connection is None or connection.is_free:
            return connection
        self._discard(connection)
        return None

    def _lost(self, connection: WsConnection) -> None:
        if connection is self._idle:
            self._discard(connection)
            self._keeper.lost()

    def _discard(self, connection: WsConnection) -> asyncio.Task[None]:
        if connection is self._idle:
            self._idle = None
        # In a task of its own: a request does not wait for the server to agree.
        task = asyncio.create_task(connection.close(), name="close a WebSocket")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task
