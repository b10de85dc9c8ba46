"""The answers of the test server, one class for each transport; each can fail on demand."""

import asyncio
import itertools
from abc import ABC, abstractmethod
from typing import Any, NoReturn

from aiohttp import web

from edgevoice_plugins.lightning.protocol.audio import write_wav
from edgevoice_plugins.lightning.protocol.reply import (
    FINAL_EVENT,
    Chunk,
    Complete,
    Problem,
    Word,
    write_event,
    write_failed_event,
    write_frame,
)


class Reply(ABC):
    """An answer over HTTP; the one over a WebSocket overrides what it writes."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.response: web.StreamResponse = web.Response()

    async def begin(self) -> None:
        """Begin before the first chunk."""
        return

    @abstractmethod
    async def chunk(self, pcm: bytes, *, spoilt: bool = False) -> None:
        """Write a chunk of audio."""

    @abstractmethod
    async def end(self) -> None:
        """End the answer."""

    async def instead(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.response = web.Response(status=status, body=body, headers=headers)

    async def word(self, word: str, start: float, end: float) -> None:
        """Write a word timestamp, if the transport has them."""
        return

    async def problem(self, message: str) -> None:
        """Write an error inside the stream, if the transport has them."""
        return

    async def close(self, _code: int) -> None:
        """End as if the speech were complete."""
        return

    async def cut(self, *, reset: bool) -> NoReturn:
        """Break the connection; a reset discards data that is still in transit."""
        if self.request.transport:
            self.request.transport.abort() if reset else self.request.transport.close()
        await asyncio.Event().wait()
        raise AssertionError


class WholeReply(Reply):
    def __init__(self, request: web.Request, asked: Any, make: Any, *, at_once: bool) -> None:
        super().__init__(request)
        self._rate = asked.sample_rate
        self._make = make or (write_wav if asked.output_format == "wav" else lambda pcm, _rate: pcm)
        self._at_once = at_once
        self._pcm = bytearray()

    async def chunk(self, pcm: bytes, *, spoilt: bool = False) -> None:
        if not self._at_once:
            self._pcm += pcm
            return
        await self._prepare(None)
        await self.response.write(pcm)

    async def end(self) -> None:
        body = self._make(bytes(self._pcm), self._rate)
        self.response = web.Response(body=body, content_type="audio/wav")

    async def cut(self, *, reset: bool) -> NoReturn:
        if self._pcm:
            body = self._make(bytes(self._pcm), self._rate)
            await self._prepare(len(body) + 1000)
            await self.response.write(body)
        await super().cut(reset=reset)

    async def _prepare(self, length: int | None) -> None:
        if not self.response.prepared:
            self.response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
            self.response.content_length = length
            await self.response.prepare(self.request)


class EventReply(Reply):
    async def begin(self) -> None:
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await self.response.prepare(self.request)

    async def chunk(self, pcm: bytes, *, spoilt: bool = False) -> None:
        event = write_event(pcm)
        await self.response.write(event.replace(b'"audio":"', b'"audio":"*!') if spoilt else event)

    async def end(self) -> None:
        await self.response.write(FINAL_EVENT)
        await asyncio.sleep(0.01)  # the end of the reply itself is a packet of its own

    async def problem(self, message: str) -> None:
        await self.response.write(write_failed_event(message))


class FrameReply(Reply):
    def __init__(self, request: web.Request, socket: web.WebSocketResponse, ids: dict[str, str]) -> None:
        super().__init__(request)
        self._socket = socket
        self._ids = ids
        self._words = itertools.count()

    async def chunk(self, pcm: bytes, *, spoilt: bool = False) -> None:
        frame = write_frame(Chunk(pcm), self._ids)
        await self._socket.send_str(frame.replace('"audio":"', '"audio":"*!') if spoilt else frame)

    async def end(self) -> None:
        await self._socket.send_str(write_frame(Complete(), self._ids))

    async def instead(self, status: int, body: bytes, _headers: dict[str, str]) -> None:
        if status == 200:
            await self._socket.send_str(body.decode(errors="replace"))
        else:
            problem = Problem(body.decode() or "refused", str(status))
            await self._socket.send_str(write_frame(problem, self._ids))

    async def word(self, word: str, start: float, end: float) -> None:
        await self._socket.send_str(write_frame(Word(next(self._words), word, start, end), self._ids))

    async def problem(self, message: str) -> None:
        await self._socket.send_str(write_frame(Problem(message), self._ids))

    async def close(self, code: int) -> None:
        await self._socket.close(code=code)
