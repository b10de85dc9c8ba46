"""The transport `http`: one request, and the speech in one reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.hookspecs import hookimpl
from edgevoice_plugins.lightning.ahead import OpensAhead
from edgevoice_plugins.lightning.protocol.request import PATH_WHOLE, speech_body
from edgevoice_plugins.lightning.whole import speech_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice.hookspecs import Registry
    from edgevoice.plugin import SpeechRequest
    from edgevoice_plugins.lightning.connections import IdleConnection
    from edgevoice_plugins.lightning.spares import Spares

LARGEST = 16 * 1024 * 1024
"""Bytes of one reply: three minutes at 44100 Hz."""
SLICE = 64 * 1024
"""Bytes handed on at once."""


class HttpTransport(OpensAhead["IdleConnection"]):
    """Speech is there when all of it is made: for short texts."""

    work = "edgevoice_plugins.lightning.connections"

    def make_spares(self) -> Spares[IdleConnection]:
        from edgevoice_plugins.lightning.connections import connections  # noqa: PLC0415 - brings aiohttp

        return connections(self.endpoint)

    async def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning.exchange import patience, posted, whole_body  # noqa: PLC0415 - brings aiohttp

        lightning = self.config
        body = speech_body(lightning, request, output_format=lightning.output_format)
        within = patience(request)
        async with posted(
            self.endpoint, self.spares, PATH_WHOLE, body, accept="audio/wav", within=within
        ) as reply:
            received = await whole_body(reply, most=LARGEST, within=within)
        pcm = speech_of(received, asked=lightning.output_format, rate=request.sample_rate)
        for start in range(0, len(pcm), SLICE):
            yield pcm[start : start + SLICE]


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("http", HttpTransport)
