"""Speech of the local voice for a Lightning request."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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
