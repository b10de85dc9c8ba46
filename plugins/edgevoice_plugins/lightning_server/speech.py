"""The local voice, asked as a Lightning request asks."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from edgevoice_plugins.lightning.protocol.request import WireRequest
    from edgevoice_plugins.local_voice.pool import VoicePool
    from edgevoice_plugins.local_voice.wire import SpokenWord

SILENCE = 0.1
"""Seconds of silence for a text in which nothing can be spoken: clients take no audio for a failure."""


async def spoken(voice: VoicePool, request: WireRequest, text: str) -> AsyncGenerator[bytes | SpokenWord]:
    """Yield the speech of `text` as `request` asks for it: s16le mono in whole samples, and its words.

    Raises:
        TransportError: the voice failed.
    """
    silent = True
    speech = voice.speak(
        text,
        voice=request.voice_id,
        language=request.language or request.number_pronunciation_language,
        speed=request.speed,
        rate=request.sample_rate,
    )
    async with aclosing(speech):
        async for part in speech:
            silent = False
            yield part
    if silent:
        yield bytes(2 * int(SILENCE * request.sample_rate))
