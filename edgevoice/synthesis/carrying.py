"""Carries a part on that broke off: its sound comes to rest, and its words are told that are not yet spoken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice.audio import silence
from edgevoice.audio.gain import fade_tail
from edgevoice.synthesis.unspoken import after_pauses, offset_from_word_marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgevoice.audio.clip import Clip
    from edgevoice.plugin import WordMark
    from edgevoice.synthesis.pace import Pace

BLOCK = 30.0
"""Seconds of audio looked at at once: live text may have been spoken for an hour."""


async def fade_out(clip: Clip) -> None:
    """Let the broken end of a clip come to rest."""
    last = await clip.excerpt(clip.frames - 1, clip.frames)
    await clip.append(fade_tail(last, clip.rate))


async def unspoken_offset(
    clip: Clip, start: int, end: int, text: str, marks: Sequence[WordMark], pace: Pace
) -> int:
    """Offset in `text` of what is left to say, after the frames from `start` to `end` of it were spoken."""
    seconds = (end - start) / clip.rate
    if marks:
        return offset_from_word_marks(text, marks, seconds)
    size = round(BLOCK * clip.rate)
    levels = [
        # Threads: numpy may have to be loaded first, and nothing else shall wait for that.
        await asyncio.to_thread(
            silence.window_power, await clip.excerpt(first, min(first + size, end)), clip.rate
        )
        for first in range(start, end, size)
    ]
    return after_pauses(text, await asyncio.to_thread(_pause_ends, levels), seconds, pace)


def _pause_ends(levels: Sequence[np.ndarray]) -> list[float]:
    """The seconds at which the pauses end; `levels` are those of blocks that follow each other."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    return [behind * silence.WINDOW_S for _, behind in silence.silences_in(np.concatenate(levels))]
