"""Speech of the local voice for a Lightning request, and the formats of its `output_format`.

G.711 is among them because the vendor's list has it and telephony clients ask for it. Python's own codec,
`audioop`, was removed in Python 3.13.
"""

from __future__ import annotations

import sys
from array import array
from contextlib import aclosing
from functools import cache
from typing import TYPE_CHECKING

from edgevoice_plugins.lightning.protocol.audio import write_wav
from edgevoice_plugins.lightning.protocol.request import BadRequestError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from edgevoice_plugins.lightning.protocol.request import WireRequest
    from edgevoice_plugins.local_voice.pool import VoicePool
    from edgevoice_plugins.local_voice.wire import SpokenWord

#: Seconds of silence for a text without anything to speak: clients take a reply without audio for a failure.
SILENCE_S = 0.1


async def synthesize(voice: VoicePool, request: WireRequest, text: str) -> AsyncGenerator[bytes | SpokenWord]:
    """Yield the speech of `text` as `request` asks: s16le mono in whole samples, and its words.

    Raises:
        TransportError: the voice failed.
    """
    has_audio = False
    speech = voice.speak(
        text,
        voice=request.voice_id,
        language=request.language or request.number_pronunciation_language,
        speed=request.speed,
        rate=request.sample_rate,
    )
    async with aclosing(speech):
        async for part in speech:
            has_audio = True
            yield part
    if not has_audio:
        yield bytes(2 * int(SILENCE_S * request.sample_rate))


def check_format(name: str) -> None:
    """Refuse the one format of the vendor that this server cannot make.

    Raises:
        BadRequestError: the format is mp3, which would need an encoder.
    """
    if name == "mp3":
        raise BadRequestError(
            "output_format 'mp3' is not supported by this server; use pcm, wav, ulaw or alaw"
        )


def encode(pcm: bytes, name: str, rate: int) -> bytes:
    """Return samples (s16le mono at `rate` Hz) in the format `name`."""
    match name:
        case "wav":
            return write_wav(pcm, rate)
        case "ulaw":
            return _compand(pcm, _table(_ulaw))
        case "alaw":
            return _compand(pcm, _table(_alaw))
    return pcm


def _compand(pcm: bytes, table: bytes) -> bytes:
    samples = array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(map(table.__getitem__, samples))


@cache
def _table(encode: Callable[[int], int]) -> bytes:
    """Return the byte for each sample, indexed by its 16 bits read as unsigned."""
    return bytes(encode(sample - 0x10000 if sample & 0x8000 else sample) for sample in range(0x10000))


def _ulaw(sample: int) -> int:
    """Return a 16-bit sample in ITU-T G.711 mu-law."""
    sign = 0x80 if sample < 0 else 0
    size = min(abs(sample), 32635) + 0x84
    segment = size.bit_length() - 8
    return ~(sign | segment << 4 | (size >> (segment + 3)) & 0x0F) & 0xFF


def _alaw(sample: int) -> int:
    """Return a 16-bit sample in ITU-T G.711 A-law; positive samples have the sign bit set."""
    sign = 0x80 if sample >= 0 else 0
    size = min((sample if sample >= 0 else ~sample) >> 4, 0x7FF)
    segment = max(0, size.bit_length() - 4)
    mantissa = (size if segment < 2 else size >> (segment - 1)) & 0x0F
    return (sign | segment << 4 | mantissa) ^ 0x55
