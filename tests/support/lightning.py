"""A Lightning server for tests: known speech over all three transports, and planned faults.

`server.url` is its root, `server.expected(text, rate)` the samples of a text, `server.requests` the requests
so far. `server.plan(Fault(status=429), on="http")` makes the next HTTP request fail.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from edgevoice_plugins.lightning.protocol.request import (
    PATH_LIVE,
    PATH_WHOLE,
    BadRequestError,
    WireRequest,
    read_request,
)
from tests.support import speech
from tests.support.lightning_context import Conversation
from tests.support.lightning_faults import NO_FAULT, Asked, Fault
from tests.support.lightning_replies import EventReply, Reply, WholeReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Asked", "Fault", "LightningServer"]

JSON = {"Content-Type": "application/json"}
VOICES = [
    {"voiceId": "magnus", "displayName": "Magnus", "tags": {"language": ["english"], "accent": "american"}},
    {"voiceId": "devansh", "displayName": "Devansh", "tags": {"language": ["hindi", "english"]}},
]


class LightningServer:
    """Use as `async with`; its settings may be changed at any time and hold for the next request."""

    def __init__(self) -> None:
        self.url = ""
        #: Speed at which speech is made, as a multiple of real time.
        self.pace = math.inf
        #: Seconds until the first chunk.
        self.setup = 0.0
        #: Seconds before each segment of a context except the first.
        self.gap = 0.0
        #: Seconds of audio in a chunk.
        self.chunk = 0.08
        #: Bytes in a chunk; None for `chunk` seconds of audio.
        self.split: int | None = None
        self.api_key: str | None = None
        #: Requests at once; a further one is answered with 429.
        self.concurrency: int | None = None
        #: Whether word timestamps are sent to WebSocket requests that ask for them.
        self.times_words = False
        self.answers_pings, self.pongs = True, 0
        self.requests: list[Asked] = []
        self.in_flight = self.most_in_flight = self.refused = 0
        self.sockets_opened = 0
        #: Paths of all HTTP requests and upgrades, including refused ones.
        self.paths: list[str] = []
        self.sockets: dict[web.WebSocketResponse, web.Request] = {}
        self._plan: list[list[Any]] = []
        self._changed = asyncio.Event()
        self._ids = itertools.count(1)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post(PATH_WHOLE, self._whole)
        app.router.add_post(PATH_LIVE, self._events)
        app.router.add_get(PATH_LIVE, self._socket)
        app.router.add_get("/waves/v1/{model}/get_voices", self._voices)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        self._stack.push_async_callback(self.drop_lines)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def plan(self, fault: Fault, *, on: str | None = None, times: float = 1) -> None:
        """Make the next `times` requests fail; `on` is one of http, http_stream, websocket, upgrade."""
        self._plan.append([on, fault, times])

    def expected(self, text: str, rate: int = 24000) -> bytes:
        return speech.samples(text, rate)

    async def until(self, holds: Callable[[], bool], within: float = 10.0) -> None:
        """Wait until something is true of this server."""
        async with asyncio.timeout(within):
            while not holds():
                await self._changed.wait()

    async def drop_lines(self, code: int | None = None) -> None:
        """Close every WebSocket, with a code or by a reset."""
        for socket, request in list(self.sockets.items()):
            if code is not None:
                await socket.close(code=code)
            elif request.transport:
                request.transport.abort()

    def changed(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def next_id(self) -> int:
        return next(self._ids)

    def record(self, transport: str, request: web.Request, body: Any) -> Asked:
        asked = Asked(
            transport=transport,
            path=request.path_qs,
            headers=dict(request.headers),
            body=body,
            peer=request.transport.get_extra_info("peername")[1] if request.transport else 0,
            pieces=[str(body.get("text") or "")],
        )
        self.requests.append(asked)
        self.changed()
        return asked

    def fault(self, transport: str) -> Fault:
        for entry in self._plan:
            on, fault, _ = entry
            if on in (None, transport):
                entry[2] -= 1
                if entry[2] <= 0:
                    self._plan.remove(entry)
                return fault
        return NO_FAULT

    async def speak(self, asked: Asked, wire: WireRequest, reply: Reply, fault: Fault) -> None:
        """Answer with the speech of `wire.text`, or as the fault says."""
        if self.concurrency is not None and self.in_flight >= self.concurrency:
            self.refused += 1
            fault = Fault(at=-1, status=429, body=b'{"error":"TooManyRequests","message":"busy"}')
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            asked.ended = await self._say(asked, wire, reply, fault)
        except (asyncio.CancelledError, ConnectionError):
            asked.cancelled = True
            raise
        finally:
            self.in_flight -= 1
            self.changed()

    async def _say(self, asked: Asked, wire: WireRequest, reply: Reply, fault: Fault) -> bool:
        """Return whether all was spoken."""
        if fault.status is not None:
            await reply.instead(fault.status, fault.body, {**JSON, **fault.headers})
            return False
        if fault.at == -1 and await self._goes_wrong(reply, fault):
            return False
        await reply.begin()
        number = 0
        words = speech.words_of(wire.text) if self.times_words and wire.word_timestamps else []
        async for pcm in self._made(wire, fault):
            if number == fault.at and await self._goes_wrong(reply, fault):
                return False
            await reply.chunk(pcm, spoilt=fault.spoilt and number == fault.at)
            number += 1
            asked.made += len(pcm)
            while words and words[0][2] * wire.sample_rate * 2 <= asked.made:
                await reply.word(*words.pop(0))
            self.changed()
        await reply.end()
        return fault.at != math.inf or not await self._goes_wrong(reply, fault)

    async def _goes_wrong(self, reply: Reply, fault: Fault) -> bool:
        """Return whether that was the end of the answer."""
        if fault.cut or fault.reset:
            await reply.cut(reset=fault.reset)
        if fault.silent:
            await asyncio.Event().wait()
        if fault.problem is not None:
            await reply.problem(fault.problem)
            return True
        if fault.close is not None:
            await reply.close(fault.close)
            return True
        await asyncio.sleep(fault.stall)
        return False

    async def _made(self, wire: WireRequest, fault: Fault) -> AsyncIterator[bytes]:
        """Yield the chunks, each at the time when it would be made."""
        loop = asyncio.get_running_loop()
        began, rate = loop.time() + self.setup, wire.sample_rate
        frames, sent = speech.frames_of(wire.text, rate), 0
        step = self.split or int(self.chunk * rate) * 2
        total = math.inf if fault.endless else frames * 2 - fault.short
        while sent < total:
            await asyncio.sleep(max(0.0, began + sent / 2 / rate / self.pace - loop.time()))
            stop = int(min(sent + step, total))
            pcm = speech.samples(wire.text, rate, sent % (frames * 2) // 2, (stop - sent) // 2 + 2)
            piece = pcm[sent % 2 :][: stop - sent]
            yield piece
            sent += len(piece)

    async def _whole(self, request: web.Request) -> web.StreamResponse:
        return await self._post("http", request)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._post("http_stream", request)

    async def _post(self, transport: str, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        body = await request.json()
        asked, fault = self.record(transport, request, body), self.fault(transport)
        try:
            wire = read_request(body)
        except BadRequestError as error:
            return web.json_response({"error": "InvalidRequest", "message": str(error)}, status=400)
        reply: Reply = EventReply(request)
        if transport == "http":
            reply = WholeReply(request, wire, fault.make, at_once=fault.endless)
        await self.speak(asked, wire, reply, fault)
        return reply.response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        if (fault := self.fault("upgrade")).status is not None:
            return web.Response(status=fault.status, body=fault.body, headers=dict(fault.headers))
        if fault.silent:
            await asyncio.Event().wait()
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        self.sockets[socket] = request
        self.sockets_opened += 1
        self.changed()
        try:
            async with Conversation(self, request, socket) as conversation:
                await conversation.listen()
        finally:
            self.sockets.pop(socket)
            self.changed()
        return socket

    async def _voices(self, request: web.Request) -> web.StreamResponse:
        return self._refused(request) or web.json_response({"voices": VOICES})

    def _refused(self, request: web.Request) -> web.Response | None:
        self.paths.append(request.path_qs)
        self.changed()
        if self.api_key is None or request.headers.get("Authorization") == f"Bearer {self.api_key}":
            return None
        return web.json_response({"error": "Unauthorized", "message": "no such key"}, status=401)
