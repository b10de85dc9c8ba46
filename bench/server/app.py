"""The simulated server: HTTP, event stream and WebSocket of Lightning, on the current paths and the retired ones."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMsgType, web

from bench.server import speech
from bench.server.knobs import Knobs, parse_spec
from bench.server.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.server.record import Log

BASES = ("/waves/v1", "/waves/api/v1", "/api/v1")
LARGEST_REQUEST = 2**20


class Refused(Exception):
    """The request is answered with an error status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class LightningServer:
    """Answers on `app`; `knobs` may change at any time, by POST to `/_knobs` too."""

    def __init__(self, knobs: Knobs, log: Log) -> None:
        self.knobs = knobs
        self._log = log
        self._in_flight = 0
        self.app = web.Application(client_max_size=LARGEST_REQUEST)
        route = self.app.router
        route.add_post("/_knobs", self._set)
        for base in BASES:
            for path in ("/tts", "/{model}/get_speech"):
                route.add_post(base + path, self._whole)
            for path in ("/tts/live", "/{model}/stream"):
                route.add_post(base + path, self._events)
            for path in ("/tts/live", "/{model}/stream", "/{model}/get_speech/stream"):
                route.add_get(base + path, self._socket)

    async def _set(self, request: web.Request) -> web.Response:
        self.knobs = msgspec.json.decode(await request.read(), type=Knobs)
        return web.Response()

    async def _whole(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked = parse_spec(body, self.knobs)
        record = Record(asked.number, "http", time.monotonic())
        try:
            with _TrackedRequest(self, record):
                audio = await speech.whole(asked, self.knobs, record.asked)
                record.first = time.monotonic()
                record.status = "ok"
        except Refused as refused:
            return web.json_response({"error": "simulated"}, status=refused.status)
        return web.Response(body=audio, content_type="audio/wav")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked = parse_spec(body, self.knobs)
        record = Record(asked.number, "http_stream", time.monotonic())
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        try:
            with _TrackedRequest(self, record):
                await reply.prepare(request)
                async for pcm in self._chunks(request, body, record):
                    audio = base64.b64encode(pcm)
                    await reply.write(b'event: audio\ndata: {"audio": "' + audio + b'", "done": false}\n\n')
                await reply.write(b'data: {"status": "200", "done": true}\n\n')
                record.status = "ok"
        except Refused as refused:
            return web.json_response({"error": "simulated"}, status=refused.status)
        except ConnectionError:
            pass
        return reply

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LARGEST_REQUEST)
        await socket.prepare(request)
        turn = asyncio.Lock()
        saying: set[asyncio.Task[None]] = set()
        try:
            while (message := await self._message(socket, saying)) is not None:
                body = msgspec.json.decode(message)
                if str(body.get("text") or "").strip():
                    task = asyncio.create_task(self._say(request, socket, turn, body))
                    saying.add(task)
                    task.add_done_callback(saying.discard)
        finally:
            for task in saying:
                task.cancel()
        return socket

    async def _message(self, socket: web.WebSocketResponse, saying: set[asyncio.Task[None]]) -> str | None:
        """Return the client's next message; None when the connection has ended or was idle too long."""
        while True:
            try:
                message = await socket.receive(timeout=self.knobs.idle_s)
            except TimeoutError:
                if saying:
                    continue
                await socket.send_json({"status": "error", "message": "Connection timed out"})
                await socket.close()
                return None
            if message.type == WSMsgType.TEXT:
                return str(message.data)
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                return None

    async def _say(
        self, request: web.Request, socket: web.WebSocketResponse, turn: asyncio.Lock, body: dict[str, Any]
    ) -> None:
        record = Record(parse_spec(body, self.knobs).number, "websocket", time.monotonic())
        about = {"session_id": "ws_1", "request_id": body.get("request_id") or "task_1"}
        try:
            async with turn:
                with _TrackedRequest(self, record):
                    async for pcm in self._chunks(request, body, record):
                        audio = base64.b64encode(pcm).decode()
                        await socket.send_json({**about, "status": "chunk", "data": {"audio": audio}})
                    await socket.send_json({**about, "status": "complete"})
                    record.status = "ok"
        except Refused as refused:
            error = {"message": "simulated", "code": str(refused.status)}
            await socket.send_json({**about, "status": "error", "error": error})
        except ConnectionError:
            pass

    async def _chunks(
        self, request: web.Request, body: dict[str, Any], record: Record
    ) -> AsyncIterator[bytes]:
        asked, number = parse_spec(body, self.knobs), 0
        async for pcm in speech.chunks(asked, self.knobs, record.asked):
            if number == self.knobs.cut_at and request.transport is not None:
                request.transport.abort()
                raise ConnectionResetError
            if record.first is None:
                record.first = time.monotonic()
            yield pcm
            record.sent(time.monotonic(), len(pcm) / speech.BYTES_PER_FRAME / asked.rate)
            number += 1

    def admit(self) -> None:
        """Admit a request.

        Raises:
            Refused: too many requests run, or the request is one of the `refuse_share`.
        """
        if self.knobs.concurrency and self._in_flight >= self.knobs.concurrency:
            raise Refused(429)
        if random.random() < self.knobs.refuse_share:
            raise Refused(self.knobs.refuse_status)
        self._in_flight += 1

    def finish(self, record: Record) -> None:
        self._in_flight -= 1
        self.note(record)

    def note(self, record: Record) -> None:
        record.done = time.monotonic()
        self._log.add(record)


class _TrackedRequest:
    """Counts a request while it runs, and logs its record at the end."""

    def __init__(self, server: LightningServer, record: Record) -> None:
        self._server = server
        self._record = record

    def __enter__(self) -> None:
        try:
            self._server.admit()
        except Refused as refused:
            self._record.status = f"refused {refused.status}"
            self._server.note(self._record)
            raise

    def __exit__(self, *_: object) -> None:
        self._server.finish(self._record)
