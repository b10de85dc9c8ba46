"""The HTTP connections that are open ahead of need; the transports that share a session share them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary, ref

import aiohttp

from edgevoice.errors import TransportError
from edgevoice.http_client import acquire_connection
from edgevoice_plugins.lightning.exchange import describe
from edgevoice_plugins.lightning.spares import Spares

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    from edgevoice_plugins.lightning.options import Endpoint


class IdleConnection:
    """An open HTTP connection that no request is on, kept out of the session's pool so that its end is seen."""

    def __init__(self, connection: Connection, protocol: ResponseHandler, *, used: bool) -> None:
        self.used = used
        self._connection = connection
        self._protocol = protocol
        self._forget: Callable[[], object] = _nothing

    @property
    def is_free(self) -> bool:
        # A server that has something to say unasked says goodbye.
        return not (self._connection.closed or self._protocol.should_close)

    def when_lost(self, tell: Callable[[], None]) -> None:
        def ended(_closed: asyncio.Future[None]) -> None:
            tell()

        closed = self._protocol.closed
        if closed is None:
            asyncio.get_running_loop().call_soon(tell)
        else:
            closed.remove_done_callback(_seen)
            closed.add_done_callback(_seen)
            closed.add_done_callback(ended)
            self._forget = partial(closed.remove_done_callback, ended)

    def lend(self) -> None:
        """Put it into the pool, where the next request takes it: this connection is one no more."""
        self._forget()
        self._connection.release()

    async def close(self) -> None:
        """Say goodbye; a server that does not within a second is left."""
        if self._connection.protocol is None:
            return
        transport, closed = self._connection.transport, self._protocol.closed
        self._connection.close()
        if closed is not None:
            await asyncio.wait({closed}, timeout=1)
        if transport is not None:
            transport.abort()


def _nothing() -> None:
    """Nobody is to be told."""


def _seen(closed: asyncio.Future[None]) -> None:
    """How it ended makes no difference, but asyncio complains unless somebody looks."""
    if not closed.cancelled():
        closed.exception()


Connections: TypeAlias = Spares[IdleConnection]
_OF_SESSION: WeakKeyDictionary[aiohttp.ClientSession, Connections] = WeakKeyDictionary()


def connections(endpoint: Endpoint) -> Connections:
    """Those of the shared session to the endpoint's server."""
    session = endpoint.http_session()
    if session not in _OF_SESSION:
        dial = partial(_open, ref(session), endpoint.root)
        _OF_SESSION[session] = Spares("connection", dial, most=endpoint.concurrency)
    return _OF_SESSION[session]


async def _open(session: ref[aiohttp.ClientSession], root: str) -> IdleConnection:
    """Take one out of the pool, if the last request left it there, or open one.

    Raises:
        TransportError: the server cannot be reached.
    """
    asked = session()
    if asked is None:
        raise TransportError("the session is closed")
    try:
        connection, used = await acquire_connection(asked, root)
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(describe(error, root)) from error
    if connection.protocol is None:
        raise TransportError(f"the connection to {root} broke as it was opened")
    return IdleConnection(connection, connection.protocol, used=used)
