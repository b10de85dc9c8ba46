"""Where speech is cut and where it goes on: found in its audio, by a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from edgevoice.speaker import pauses
from edgevoice.speaker.rules import NEXT_PAUSE

if TYPE_CHECKING:
    from edgevoice.speaker.turn import Turn

LOOK = 0.01
"""Seconds between looks at whether a pause has come."""
FRESH = 0.1
"""Seconds of audio that have to be new before a pause is looked for again."""


async def resume_from(turn: Turn) -> int:
    """The frame at which an interrupted turn goes on: the last pause before the cut (contract)."""
    clip, cut = turn.speech.clip, turn.position
    begin = max(0, cut - round((pauses.SEARCH_S + pauses.LOUDNESS_WINDOW_S) * clip.rate))
    heard = await clip.excerpt(begin, cut)
    # A thread: numpy may have to be loaded first, and nothing else shall wait for that.
    found = begin + await asyncio.to_thread(pauses.resume_frame, heard, clip.rate)
    # What lies before where it last went on was heard to a pause.
    return max(found, turn.resumed_at)


async def until_pause(turn: Turn) -> None:
    """Wait until a pause of the turn is being heard, for at most 2 s."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(NEXT_PAUSE):
            frame = await _next_pause(turn)
            while turn.position < frame:  # noqa: ASYNC110 - what is heard is told in periods
                await asyncio.sleep(max(LOOK, (frame - turn.position) / turn.speech.clip.rate))


async def _next_pause(turn: Turn) -> int:
    """The frame up to which a pause has to be heard; looks again when there is more audio."""
    clip, start, looked = turn.speech.clip, turn.position, -1
    begin = max(0, start - round(pauses.LOUDNESS_WINDOW_S * clip.rate))
    while True:
        end, ended = clip.frames, clip.ended
        if looked < 0 or ended or end - looked >= FRESH * clip.rate:
            ahead = await clip.excerpt(begin, min(end, start + round((NEXT_PAUSE + 0.5) * clip.rate)))
            found = await asyncio.to_thread(pauses.next_silence, ahead, clip.rate, start - begin)
            if found is not None:
                return begin + found
            looked = end
        if ended or 0 < clip.frames <= turn.position:
            return end  # behind all that there is, it is silent
        await asyncio.sleep(FRESH / 2)
