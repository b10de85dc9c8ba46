"""The transport `websocket`: a connection that stays open, for urgent speech and for live text.

A whole text is one message, a text stream is one context. A request is sent again, once, if the connection was
open before and is lost before any audio: the server closed it while it was idle, and has not seen the request.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from edgevoice import TransportError, WordMark, hookimpl
from edgevoice_plugins.lightning.errors import ConnectionLostError
from edgevoice_plugins.lightning.protocol.audio import PcmAssembler
from edgevoice_plugins.lightning.protocol.errors import problem_error
from edgevoice_plugins.lightning.protocol.reply import Chunk, Complete, Problem, Reply, Word
from edgevoice_plugins.lightning.protocol.request import chunk_message, speech_body
from edgevoice_plugins.lightning.transport import WarmTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import Registry, SpeechRequest
    from edgevoice_plugins.lightning.transport import Limits
    from edgevoice_plugins.lightning.ws_connection import ConnectionPool, WsConnection

#: How long the server may wait for the end of a sentence; the text of a sender that pauses is spoken by then.
BUFFER_DELAY_MS = 1000
#: Speech at speed 1 rarely exceeds this rate.
MAX_CHARS_PER_SECOND = 20


class WebSocketTransport(WarmTransport["ConnectionPool"]):
    """Speech over a WebSocket that was opened ahead; takes text that is still arriving."""

    heavy_module = "edgevoice_plugins.lightning.ws_connection"
    accepts_text_stream: ClassVar[bool] = True

    def make_connection(self) -> ConnectionPool:
        from edgevoice_plugins.lightning.ws_connection import ConnectionPool  # noqa: PLC0415 - imports aiohttp

        return ConnectionPool(self.endpoint, self.limits)

    def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        body = speech_body(self.lightning, request)
        if request.text_stream is None:
            body["word_timestamps"] = True  # only some voices give them; the others ignore the key
        return synthesize(self.connection, request, body, self.limits)


async def synthesize(
    pool: ConnectionPool, request: SpeechRequest, body: dict[str, Any], limits: Limits
) -> AsyncIterator[bytes]:
    """Yield the speech as it arrives: s16le mono, whole samples. Closed early, the connection is closed too.

    Raises:
        AccountRefused, TransportError: the speech ends before its end.
    """
    assembler = PcmAssembler(request.sample_rate, limits.max_audio_s)
    async with AsyncExitStack() as stack:
        exchange = _exchange(request, body, assembler, limits)
        stack.push_async_callback(exchange.close)
        connection, was_open = await _send(exchange, pool, stack)
        while not exchange.is_over:
            try:
                reply = await _next_reply(exchange, connection)
            except ConnectionLostError:
                if exchange.has_audio or not was_open:
                    raise
                connection, was_open = await _send(exchange, pool, stack)
                continue
            if isinstance(reply, Word):
                request.marks.append(WordMark(reply.word, reply.start, reply.end))
            elif isinstance(reply, Chunk) and (pcm := assembler.feed(reply.pcm)):
                yield pcm
        if exchange.reusable:
            connection.release()
    if exchange.has_audio or request.text_stream is None:
        assembler.finish()


def _exchange(
    request: SpeechRequest, body: dict[str, Any], assembler: PcmAssembler, limits: Limits
) -> Exchange:
    if request.text_stream is None:
        return OneShot(body, limits)
    return TextStreamExchange(request.text_stream, body, assembler, limits)


async def _send(exchange: Exchange, pool: ConnectionPool, stack: AsyncExitStack) -> tuple[WsConnection, bool]:
    """Send the request on a connection; return that, and whether it was open before."""
    connection, was_open = await pool.acquire()
    await stack.enter_async_context(pool.in_use(connection))
    sending = asyncio.create_task(exchange.send(connection), name="send a Lightning request")
    stack.push_async_callback(_cancel, sending)
    return connection, was_open


async def _next_reply(exchange: Exchange, connection: WsConnection) -> Reply | None:
    try:
        reply = await connection.reply(exchange.timeout_s())
    except TimeoutError:
        exchange.on_timeout()
        return None
    if isinstance(reply, Problem):
        # "Connection timed out" is about the time before this request, and no answer to it.
        raise ConnectionLostError(reply.message) if reply.is_idle_timeout else problem_error(reply)
    exchange.on_reply(reply)
    return reply


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


class Exchange(ABC):
    """A request over a WebSocket and the state of its answer."""

    #: Whether the connection can carry another request once this one is over.
    reusable: ClassVar[bool] = False

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        #: Whether audio has arrived; until then the request can be sent again on another connection.
        self.has_audio = False
        self.is_over = False
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()

    @abstractmethod
    async def send(self, connection: WsConnection) -> None:
        """Send all of the request. Returns early if the connection is lost: its `reply` reports that."""

    async def close(self) -> None:  # noqa: B027 - most exchanges leave nothing running
        """Stop what the exchange still does."""

    def on_reply(self, reply: Reply | None) -> None:
        """Note a reply. None, a sign of life, does not extend the timeout."""
        if reply is not None:
            self._since = self._loop.time()
        self.has_audio = self.has_audio or isinstance(reply, Chunk)

    @abstractmethod
    def timeout_s(self) -> float | None:
        """Return the time to wait for the next reply or sign of life; None is without limit."""

    @abstractmethod
    def on_timeout(self) -> None:
        """Handle that nothing came within `timeout_s`.

        Raises:
            TransportError: the server should have sent something.
        """

    def _remaining_s(self, limit_s: float) -> float:
        """Return the rest of `limit_s` since the last reply."""
        return max(0.0, self._since + limit_s - self._loop.time())

    def _stalled(self) -> TransportError:
        return TransportError("the server stopped sending before the speech was complete")


class OneShot(Exchange):
    """A whole text in one message; its `complete` is the end."""

    reusable = True

    def __init__(self, message: dict[str, Any], limits: Limits) -> None:
        super().__init__(limits)
        self._message = message

    async def send(self, connection: WsConnection) -> None:
        try:
            await connection.send(self._message)
        except ConnectionLostError:
            return

    def on_reply(self, reply: Reply | None) -> None:
        super().on_reply(reply)
        self.is_over = isinstance(reply, Complete)

    def timeout_s(self) -> float | None:
        return self._remaining_s(self.limits.stall_s if self.has_audio else self.limits.first_audio_s)

    def on_timeout(self) -> None:
        raise self._stalled()


class TextStreamExchange(Exchange):
    """A text stream as one context: the text as it arrives, and the segments that the server makes of it.

    No frame says that a context is finished. It is, once the closing message was sent, each segment that
    began is complete, and no frame came for a while. The connection is not used again: a segment that
    comes even later would be heard in the next announcement.
    """

    def __init__(
        self, chunks: AsyncIterator[str], body: dict[str, Any], assembler: PcmAssembler, limits: Limits
    ) -> None:
        super().__init__(limits)
        self._chunks = chunks
        self._body = body | {"max_buffer_delay_ms": BUFFER_DELAY_MS}
        self._assembler = assembler
        self._text = ""
        self._text_ended = False
        self._text_changed = asyncio.Event()
        self._unfinished_segments: set[str | None] = set()
        self._complete_count = 0
        self._all_sent = False
        self._collecting = asyncio.create_task(self._collect(), name="collect a text stream")

    async def close(self) -> None:
        await _cancel(self._collecting)

    async def send(self, connection: WsConnection) -> None:
        """Send each chunk verbatim as it arrives, a blank one with the next, then the closing message."""
        try:
            await self._send(connection)
        except ConnectionLostError:
            return
        self._all_sent = True
        self._since = self._loop.time()
        self.is_over = not self._text.strip()
        await connection.wake()

    def on_reply(self, reply: Reply | None) -> None:
        super().on_reply(reply)
        match reply:
            case Chunk(request_id=segment):
                self._unfinished_segments.add(segment)
            case Complete(request_id=segment):
                self._unfinished_segments.discard(segment)
                self._complete_count += 1

    def timeout_s(self) -> float | None:
        if self._unfinished_segments:
            return self._remaining_s(self.limits.stall_s)
        if not self._all_sent:
            return None  # the server may have nothing to say yet; the sender of the text is timed elsewhere
        if not self._complete_count:
            return self._remaining_s(self.limits.first_audio_s)
        # A sign of life restarts the quiet time, but not forever.
        quiet_s = self.limits.quiet_s if self._is_long_enough() else self.limits.quiet_if_short_s
        return min(quiet_s, self._remaining_s(self.limits.stall_s))

    def on_timeout(self) -> None:
        if self._unfinished_segments or not self._complete_count:
            raise self._stalled()
        self._collecting.result()
        self.is_over = True

    def _is_long_enough(self) -> bool:
        """Whether the audio so far can be all of the text."""
        max_rate = MAX_CHARS_PER_SECOND * float(self._body["speed"])
        return self._assembler.duration_s * max_rate >= len(self._text.strip())

    async def _send(self, connection: WsConnection) -> None:
        context_id, sent = uuid4().hex, 0
        while True:
            self._text_changed.clear()
            if (chunk := self._text[sent:]).strip():
                await connection.send(chunk_message(self._body, chunk, context_id=context_id, more=True))
                sent += len(chunk)
            elif self._text_ended:
                break
            else:
                await self._text_changed.wait()
        if sent:
            await connection.send(chunk_message(self._body, "", context_id=context_id, more=False))

    async def _collect(self) -> None:
        # All of the text is kept, so that it can be sent again on another connection.
        try:
            async for chunk in self._chunks:
                self._text += chunk
                self._text_changed.set()
        finally:
            self._text_ended = True
            self._text_changed.set()


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("websocket", WebSocketTransport)
