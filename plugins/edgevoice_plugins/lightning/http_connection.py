"""HTTP to a Lightning server: a connection that is open before a request needs it, and an exchange on it.

aiohttp pools connections, but opens one only for a request. So the connection is opened, and kept from
becoming idle for too long, by a request of its own: OPTIONS on the speech route, without the API key. A
server answers it with some status and no work; whichever status that is, the connection is then open.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from edgevoice import ConnectionCounter, TransportError
from edgevoice_plugins.lightning.errors import connection_error
from edgevoice_plugins.lightning.protocol.errors import status_error
from edgevoice_plugins.lightning.protocol.reply import preview
from edgevoice_plugins.lightning.protocol.request import PATH_WHOLE
from edgevoice_plugins.lightning.transport import ConnectionKeeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from edgevoice_plugins.lightning.options import Endpoint
    from edgevoice_plugins.lightning.transport import Limits

#: Bytes of the answer to a warm-up request that are read; a longer answer costs its connection.
MAX_WARM_UP_BYTES = 64 * 1024
#: Seconds that the answer to a warm-up request may take.
WARM_UP_TIMEOUT_S = 10.0
#: Some servers answer this on a connection that was idle for too long, before they close it.
REQUEST_TIMEOUT = 408
READ_BYTES = 64 * 1024
#: Bytes of the body of an error that are read.
MAX_ERROR_BYTES = 4096


class HttpConnection:
    """The connections of one session to one server, of which one is kept open.

    A request that runs while another one does opens a connection of its own, which aiohttp then pools too.
    """

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, limits: Limits) -> None:
        self._session = session
        self._endpoint = endpoint
        self._counter = ConnectionCounter(self._connection_closed)
        self._requests = 0
        self._users = 0
        self._keeper = ConnectionKeeper("an HTTP connection", self._warm_up, limits)

    @classmethod
    def shared(cls, endpoint: Endpoint, limits: Limits) -> HttpConnection:
        """Return the connection that all transports of one session use; each user calls `close`."""
        session = endpoint.http_session()
        connection = _shared.setdefault(session, cls(session, endpoint, limits))
        connection._users += 1  # noqa: SLF001 - an instance of this class
        return connection

    @property
    def is_warm(self) -> bool:
        """Whether a connection is open that no request uses."""
        return self._counter.open > self._requests

    def open_ahead(self) -> None:
        """Begin to open the connection, unless it is open."""
        if not self.is_warm:
            self._keeper.open_now()

    async def close(self) -> None:
        """Leave the connection to the session, which closes it, once no transport uses it."""
        self._users -= 1
        if self._users <= 0:
            _shared.pop(self._session, None)
            await self._keeper.close()

    @asynccontextmanager
    async def exchange(
        self, path: str, body: dict[str, Any], *, accept: str, timeout_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """POST `body` and yield the reply, whose status is 200; a reply that is not read to its end is cut off.

        The server must begin its reply within `timeout_s`.

        Raises:
            AccountRefused: for 401, 402, 403, 410.
            TransportError: any other status; a connection that fails or breaks, also inside the block; a
                reply that is compressed, or no event stream where `accept` asks for one.
        """
        try:
            with self._in_use():
                async with asyncio.timeout(timeout_s):
                    reply = await self._post(path, body, accept)
                try:
                    await check_reply(reply, accept)
                    yield reply
                finally:
                    reply.close()
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(error, self._endpoint.root) from error
        except asyncio.CancelledError:
            # The socket is closed in the next step of the event loop. Only then may the next request of the
            # account leave: before, the server would count two at once.
            await asyncio.sleep(0)
            raise

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Count a request, from before it is sent until its answer was read."""
        self._keeper.in_use()
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if self._counter.open:
                self._keeper.idle(unused=False)
            else:
                self._keeper.missing()

    async def _post(self, path: str, body: dict[str, Any], accept: str) -> aiohttp.ClientResponse:
        """Send a request and return the head of its answer; call this inside `_in_use`."""
        url, data = self._endpoint.root + path, msgspec.json.encode(body)
        headers = self._endpoint.headers | {"Content-Type": "application/json", "Accept": accept}
        # Every wait for this answer has a deadline of its own, and a message that names what it waited for.
        timeout = aiohttp.ClientTimeout(total=None, connect=self._session.timeout.connect)
        was_open = self._counter.open >= self._requests
        with self._counter.counting():
            try:
                reply = await self._session.post(url, data=data, headers=headers, timeout=timeout)
                if not (was_open and reply.status == REQUEST_TIMEOUT):
                    return reply
                reply.close()
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not was_open:
                    raise
            # The server closed the idle connection as the request left: it has not answered the request.
            return await self._session.post(url, data=data, headers=headers, timeout=timeout)

    def _connection_closed(self) -> None:
        if not (self._counter.open or self._requests or self._keeper.is_opening):
            self._keeper.lost()

    async def _warm_up(self) -> None:
        self._requests += 1
        try:
            with self._counter.counting():
                async with (
                    asyncio.timeout(WARM_UP_TIMEOUT_S),
                    self._session.options(self._endpoint.root + PATH_WHOLE) as reply,
                ):
                    await reply.content.read(MAX_WARM_UP_BYTES)
                    await let_end(reply)
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(error, self._endpoint.root) from error
        finally:
            self._requests -= 1
        if not self._counter.open:
            raise TransportError(f"{self._endpoint.root} closes the connection after each answer")
        if not self._requests:
            self._keeper.idle(unused=True)


_shared: dict[aiohttp.ClientSession, HttpConnection] = {}


async def let_end(reply: aiohttp.ClientResponse) -> None:
    """Wait shortly for the end of an answer that is complete, so that its connection can be used again.

    A server that delays the end, or sends more, loses the connection instead.
    """
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(0.2):
            await reply.content.readany()


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
