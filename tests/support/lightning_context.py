"""The messages of one WebSocket of the test server: whole texts, and contexts released at sentence ends."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Self

import msgspec
from aiohttp import web

from edgevoice_plugins.lightning.protocol.reply import Problem, write_frame
from edgevoice_plugins.lightning.protocol.request import BadRequestError, WireRequest, read_request
from tests.support.lightning_replies import FrameReply

if TYPE_CHECKING:
    from tests.support.lightning import LightningServer
    from tests.support.lightning_faults import Asked

_SENTENCE_END = re.compile(r"[.?!…][\"')]*\s*$")


class Context:
    """The buffer of one continuation."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.buffer = ""
        self.timer: asyncio.TimerHandle | None = None


class Conversation:
    """Speaks in the order of the requests; a closed socket cancels all of them."""

    def __init__(self, server: LightningServer, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._server = server
        self._request = request
        self._socket = socket
        self._session = f"ws_{server.next_id()}"
        self._contexts: dict[str, Context] = {}
        self._jobs: asyncio.Queue[tuple[Asked, WireRequest]] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._speaking = asyncio.create_task(self._speak())
        return self

    async def __aexit__(self, *error: object) -> None:
        for context in self._contexts.values():
            if context.timer:
                context.timer.cancel()
        self._speaking.cancel()
        await asyncio.gather(self._speaking, return_exceptions=True)
        while not self._jobs.empty():
            self._jobs.get_nowait()[0].cancelled = True

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type is web.WSMsgType.PONG:
                self._server.pongs += 1
                self._server.changed()
            if message.type is not web.WSMsgType.TEXT:
                continue
            body = msgspec.json.decode(message.data)
            try:
                self._hear(body, read_request(body))
            except BadRequestError as error:
                await self._socket.send_str(write_frame(Problem(str(error)), self._ids()))

    def _hear(self, body: dict[str, Any], wire: WireRequest) -> None:
        if wire.context_id is None:
            if wire.text.strip():
                asked = self._server.record("websocket", self._request, body)
                asked.segments.append(wire.text)
                self._jobs.put_nowait((asked, wire))
            return
        context = self._contexts.get(wire.context_id)
        if context is None:
            asked = self._server.record("websocket", self._request, body)
            context = self._contexts[wire.context_id] = Context(asked)
        else:
            context.asked.pieces.append(wire.text)
            self._server.changed()
        context.buffer += wire.text
        if not wire.more or _SENTENCE_END.search(context.buffer):
            self._release(context, wire)
        elif context.buffer.strip() and context.timer is None:
            delay = wire.max_buffer_delay_ms / 1000
            context.timer = asyncio.get_running_loop().call_later(delay, self._release, context, wire)

    def _release(self, context: Context, wire: WireRequest) -> None:
        if context.timer:
            context.timer.cancel()
            context.timer = None
        text, context.buffer = context.buffer, ""
        if text.strip():
            context.asked.segments.append(text)
            self._jobs.put_nowait((context.asked, msgspec.structs.replace(wire, text=text)))

    async def _speak(self) -> None:
        while True:
            asked, wire = await self._jobs.get()
            if wire.context_id and wire.text != asked.segments[0]:
                await asyncio.sleep(self._server.gap)
            reply = FrameReply(self._request, self._socket, self._ids(wire))
            await self._server.speak(asked, wire, reply, self._server.fault("websocket"))

    def _ids(self, wire: WireRequest | None = None) -> dict[str, str]:
        request_id = wire.request_id if wire else None
        task = f"task_{self._server.next_id()}"
        ids = {"session_id": self._session, "request_id": task}
        return ids if request_id is None else ids | {"external_request_id": request_id}
