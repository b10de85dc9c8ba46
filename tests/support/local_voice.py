"""The local voice's speech, and waiting for other processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice_plugins.local_voice.pool import VoicePool
    from edgevoice_plugins.local_voice.wire import SpokenWord

SENTENCE = "Please open the kitchen window."
LETTERS = 26
LONG = "Later that evening, everybody walked home along the quiet river. " * 120


async def said(pool: VoicePool, text: str, **keys: Any) -> tuple[list[bytes], list[SpokenWord]]:
    """The audio, chunk by chunk, and the words."""
    parts = [part async for part in pool.speak(text, **{"rate": 24000} | keys)]
    chunks = [part for part in parts if isinstance(part, bytes)]
    return chunks, [part for part in parts if not isinstance(part, bytes)]


def seconds(chunks: list[bytes], rate: int = 24000) -> float:
    return sum(map(len, chunks)) / 2 / rate


def is_speech_of(text: str, length: float) -> bool:
    """Whether a text may take `length` seconds at normal speed."""
    letters = sum(map(str.isalnum, text))
    return 0.042 * letters < length < 0.105 * letters + 0.3


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
