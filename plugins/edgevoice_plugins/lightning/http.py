"""The transport `http`: one request, and the speech in one reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice import hookimpl
from edgevoice_plugins.lightning.pcm import decode_body
from edgevoice_plugins.lightning.protocol.request import PATH_WHOLE, speech_body
from edgevoice_plugins.lightning.transport import HttpBase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import Registry, SpeechRequest

#: Bytes yielded at once.
SLICE_BYTES = 64 * 1024


class HttpTransport(HttpBase):
    """Speech arrives when all of it is made: for short texts."""

    async def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning import http_exchange  # noqa: PLC0415 - imports aiohttp

        lightning, limits = self.lightning, self.limits
        timeout_s = http_exchange.reply_timeout_s(request, limits.first_audio_s)
        body = speech_body(lightning, request, output_format=lightning.output_format)
        async with http_exchange.exchange(
            self.connection, self.endpoint.root, PATH_WHOLE, body, accept="audio/wav", timeout_s=timeout_s
        ) as reply:
            received = await http_exchange.read_body(
                reply, max_bytes=limits.max_body_bytes, timeout_s=timeout_s
            )
        pcm = decode_body(received, output_format=lightning.output_format, rate_hz=request.sample_rate)
        for start in range(0, len(pcm), SLICE_BYTES):
            yield pcm[start : start + SLICE_BYTES]


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("http", HttpTransport)
