"""The transport `http`: one request, and the speech in one reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice import hookimpl
from edgevoice_plugins.lightning.protocol.audio import decode_body
from edgevoice_plugins.lightning.protocol.request import PATH_WHOLE, speech_body
from edgevoice_plugins.lightning.transport import WarmTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import Registry, SpeechRequest
    from edgevoice_plugins.lightning.http_connection import HttpConnection

#: Bytes yielded at once.
SLICE_BYTES = 64 * 1024
#: Speaking rate at speed 1, roughly.
CHARS_PER_SECOND = 15


class HttpBase(WarmTransport["HttpConnection"]):
    """A transport over HTTP; both of them share one connection."""

    heavy_module = "edgevoice_plugins.lightning.http_connection"

    def make_connection(self) -> HttpConnection:
        from edgevoice_plugins.lightning.http_connection import HttpConnection  # noqa: PLC0415 - imports aiohttp

        return HttpConnection.shared(self.endpoint, self.limits)


class HttpTransport(HttpBase):
    """Speech arrives when all of it is made: for short texts."""

    async def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning.http_connection import read_body  # noqa: PLC0415 - imports aiohttp

        output_format = self.lightning.output_format
        body = speech_body(self.lightning, request, output_format=output_format)
        # Three times the duration of the speech, and the time for a slow server to begin.
        speech_s = len(request.text or "") / CHARS_PER_SECOND / request.speed
        timeout_s = self.limits.first_audio_s + 3 * speech_s
        async with self.connection.exchange(
            PATH_WHOLE, body, accept="audio/wav", timeout_s=timeout_s
        ) as reply:
            received = await read_body(reply, max_bytes=self.limits.max_body_bytes, timeout_s=timeout_s)
        pcm = decode_body(received, output_format=output_format, rate_hz=request.sample_rate)
        for start in range(0, len(pcm), SLICE_BYTES):
            yield pcm[start : start + SLICE_BYTES]


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("http", HttpTransport)
