"""The transport `http_stream`: one request, and the speech as server-sent events while it is made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice.errors import TransportError
from edgevoice.hookspecs import hookimpl
from edgevoice_plugins.lightning.ahead import OpensAhead
from edgevoice_plugins.lightning.protocol.refusal import problem_error
from edgevoice_plugins.lightning.protocol.reply import (
    Chunk,
    Complete,
    EventReader,
    Problem,
    Reply,
    read_event,
)
from edgevoice_plugins.lightning.protocol.request import PATH_LIVE, speech_body
from edgevoice_plugins.lightning.samples import FIRST, SILENCE, Speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import aiohttp

    from edgevoice.hookspecs import Registry
    from edgevoice.plugin import SpeechRequest
    from edgevoice_plugins.lightning.connections import IdleConnection
    from edgevoice_plugins.lightning.spares import Spares


class HttpStreamTransport(OpensAhead["IdleConnection"]):
    """Speech begins while the rest is still being made."""

    work = "edgevoice_plugins.lightning.connections"

    def make_spares(self) -> Spares[IdleConnection]:
        from edgevoice_plugins.lightning.connections import connections  # noqa: PLC0415 - brings aiohttp

        return connections(self.endpoint)

    async def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning.exchange import let_end, posted  # noqa: PLC0415 - brings aiohttp

        body = speech_body(self.config, request, output_format="pcm")
        speech, patience = Speech(request.sample_rate), FIRST
        async with posted(
            self.endpoint, self.spares, PATH_LIVE, body, accept="text/event-stream", within=FIRST
        ) as reply:
            stream = _Stream(reply)
            while pcm := await stream.chunk(patience):
                patience = SILENCE
                if whole := speech.feed(pcm):
                    yield whole
            await let_end(reply)
        speech.end()


class _Stream:
    """The audio of an event stream, chunk by chunk."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply
        self._reader = EventReader()
        self._events: Iterator[bytes] = iter(())

    async def chunk(self, within: float) -> bytes:
        """The next chunk of audio, which is not empty; b"" at the proper end.

        Raises:
            TransportError: an end that is none, an event that is wrong, or `within` seconds without audio.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    match await self._next():
                        case Chunk(pcm=pcm) if pcm:
                            return pcm
                        case Complete():
                            return b""
                        case Problem() as problem:
                            raise problem_error(problem)
        except TimeoutError as error:
            raise TransportError(f"the server sent no audio for {within:.0f} s") from error

    async def _next(self) -> Reply:
        while True:
            # One at a time, so that what is wrong with an event does not hide those before it.
            for data in self._events:
                if (reply := read_event(data)) is not None:
                    return reply
            piece = await self._reply.content.readany()
            if not piece:
                raise TransportError("the server ended the stream before the speech was whole")
            self._events = self._reader.feed(piece)


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("http_stream", HttpStreamTransport)
