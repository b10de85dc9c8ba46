"""The transport `http_stream`: one request, and the speech as server-sent events while it is made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice import TransportError, hookimpl
from edgevoice_plugins.lightning.http import HttpBase
from edgevoice_plugins.lightning.protocol.audio import PcmAssembler
from edgevoice_plugins.lightning.protocol.errors import problem_error
from edgevoice_plugins.lightning.protocol.reply import (
    Chunk,
    Complete,
    EventReader,
    Problem,
    Reply,
    read_event,
)
from edgevoice_plugins.lightning.protocol.request import PATH_LIVE, speech_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import aiohttp

    from edgevoice import Registry, SpeechRequest


class HttpStreamTransport(HttpBase):
    """Speech begins while the rest of it is still being made."""

    async def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning.http_connection import let_end  # noqa: PLC0415 - imports aiohttp

        body = speech_body(self.lightning, request, output_format="pcm")
        assembler = PcmAssembler(request.sample_rate, self.limits.max_audio_s)
        timeout_s = self.limits.first_audio_s
        async with self.connection.exchange(
            PATH_LIVE, body, accept="text/event-stream", timeout_s=timeout_s
        ) as reply:
            stream = _EventStream(reply)
            while chunk := await stream.next_chunk(timeout_s):
                timeout_s = self.limits.stall_s
                if pcm := assembler.feed(chunk):
                    yield pcm
            await let_end(reply)
        assembler.finish()


class _EventStream:
    """The audio of an event stream, chunk by chunk."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply
        self._reader = EventReader()
        self._events: Iterator[bytes] = iter(())

    async def next_chunk(self, timeout_s: float) -> bytes:
        """Return the next chunk of audio, or b"" at the proper end.

        Raises:
            TransportError: the stream ends early, an event is invalid, or no audio comes for `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    match await self._next_reply():
                        case Chunk(pcm=pcm) if pcm:
                            return pcm
                        case Complete():
                            return b""
                        case Problem() as problem:
                            raise problem_error(problem)
        except TimeoutError as error:
            raise TransportError(f"the server sent no audio for {timeout_s:.0f} s") from error

    async def _next_reply(self) -> Reply:
        while True:
            # One event at a time, so that an invalid one does not hide those before it.
            for data in self._events:
                if (reply := read_event(data)) is not None:
                    return reply
            piece = await self._reply.content.readany()
            if not piece:
                raise TransportError("the server ended the stream before the speech was complete")
            self._events = self._reader.feed(piece)


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("http_stream", HttpStreamTransport)
