"""Where speech is cut and where it goes on: found in its audio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice import pauses
from edgevoice.rules import NEXT_PAUSE

if TYPE_CHECKING:
    from edgevoice.turn import Turn

LOOK = 0.05
"""Seconds between looks at whether a pause has come."""


async def resume_from(turn: Turn) -> int:
    """The frame at which an interrupted turn goes on: the last pause before the cut (contract)."""
    clip, cut = turn.speech.clip, turn.position
    begin = max(0, cut - round((pauses.SEARCH + pauses.LOOK_BACK) * clip.rate))
    heard = await clip.excerpt(begin, cut)
    # A thread: numpy may have to be loaded first, and nothing else shall wait for that.
    return begin + await asyncio.to_thread(pauses.resume_frame, heard, clip.rate)


async def until_pause(turn: Turn) -> None:
    """Wait until a pause of the turn is being heard, for at most 2 s."""
    clip, loop = turn.speech.clip, asyncio.get_running_loop()
    start, limit = turn.position, loop.time() + NEXT_PAUSE
    begin = max(0, start - round(pauses.LOOK_BACK * clip.rate))
    end = start + round((NEXT_PAUSE + 0.5) * clip.rate)
    while loop.time() < limit:
        ahead = await clip.excerpt(begin, end)
        found = await asyncio.to_thread(pauses.next_pause, ahead, clip.rate, start - begin)
        if found is not None and turn.position >= begin + found:
            return
        await asyncio.sleep(min(LOOK, max(0.0, limit - loop.time())))
