"""The positions where speech is interrupted and continues: found in its audio, by a worker thread."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from edgevoice.audio import silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.audio.clip import Clip

#: Seconds within which a high announcement interrupts, at the next pause or without one (contract).
MAX_PAUSE_WAIT_S = 2.0
#: Seconds between two looks at how far the clip was heard.
POLL_S = 0.01
#: Seconds of audio that must be new before a pause is searched again.
NEW_AUDIO_S = 0.1


async def resume_position(clip: Clip, cut: int, not_before: int) -> int:
    """Return the frame at which a clip continues that was cut at frame `cut`.

    It is the last pause before the cut (contract), but not before frame `not_before`, where it last
    continued: what lies before that was heard up to a pause already.

    Raises:
        ClipError: the clip was closed.
    """
    begin = max(0, cut - round((silence.SEARCH_S + silence.LOUDNESS_WINDOW_S) * clip.rate))
    heard = await clip.excerpt(begin, cut)
    # In a thread, because numpy may have to be loaded first and the event loop must not wait for that.
    found = begin + await asyncio.to_thread(silence.resume_frame, heard, clip.rate)
    return max(found, not_before)


async def wait_for_pause(
    clip: Clip, position: Callable[[], int], max_wait_s: float = MAX_PAUSE_WAIT_S
) -> None:
    """Wait until a pause of the clip is being heard, for at most `max_wait_s` seconds.

    `position` returns the frame up to which the clip was heard.

    Raises:
        ClipError: the clip was closed.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max_wait_s):
            frame = await _next_pause(clip, position)
            while position() < frame:  # noqa: ASYNC110 - the output reports what was heard in periods
                await asyncio.sleep(max(POLL_S, (frame - position()) / clip.rate))


async def _next_pause(clip: Clip, position: Callable[[], int]) -> int:
    """Return the frame up to which a pause must be heard; search again when there is more audio."""
    start, searched = position(), -1
    begin = max(0, start - round(silence.LOUDNESS_WINDOW_S * clip.rate))
    while True:
        end, ended = clip.frames, clip.ended
        if searched < 0 or ended or end - searched >= NEW_AUDIO_S * clip.rate:
            ahead = await clip.excerpt(begin, min(end, start + round((MAX_PAUSE_WAIT_S + 0.5) * clip.rate)))
            found = await asyncio.to_thread(silence.next_silence, ahead, clip.rate, start - begin)
            if found is not None:
                return begin + found
            searched = end
        # The clip's end counts as a pause, and so does audio that is not synthesized yet.
        if ended or 0 < clip.frames <= position():
            return end
        await asyncio.sleep(NEW_AUDIO_S / 2)
