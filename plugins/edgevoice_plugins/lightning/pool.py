"""The WebSockets to a Lightning server: one is kept open, and more are opened while requests overlap."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from edgevoice import TransportError
from edgevoice_plugins.lightning.keeper import ConnectionKeeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import aiohttp

    from edgevoice_plugins.lightning.limits import Limits
    from edgevoice_plugins.lightning.ws_connection import WsConnection

#: Seconds that the end of a cancelled request waits for the server to close the WebSocket. An urgent request
#: may wait behind it, so a server that is farther away than this is not waited for.
CLOSE_WAIT_S = 0.05


class ConnectionPool:
    """Lends its open WebSocket to a request, and keeps it if it can carry another request."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connect: Callable[[], Awaitable[WsConnection]],
        limits: Limits,
    ) -> None:
        """`connect` opens a WebSocket in `session`, which the pool closes at its end."""
        self._session = session
        self._connect = connect
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
        connection = await self._connect()
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
