"""The way of one turn through its clip: as it is filled, but no sooner than it can go on without a hole."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.synthesis.clip import BYTES_PER_FRAME
from edgevoice.synthesis.headstart import LONGEST, is_repeat_underrun, rebuffer_s
from edgevoice.synthesis.parts import LIVE_IDLE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.speaker.turn import Turn
    from edgevoice.synthesis.live import LiveText

GLANCE = 0.25
"""Seconds between looks at whether somebody else waits, while live text is silent."""
LAG = 0.03
"""Seconds by which what is told to be heard may stay behind a card that has run dry."""


class Cursor:
    """Reads from the turn's position on; `waits` tells whether somebody else does."""

    def __init__(self, turn: Turn, waits: Callable[[], bool]) -> None:
        self._turn = turn
        self._clip = turn.speech.clip
        self._live = turn.announcement.live
        self._waits = waits
        self._frame = turn.position
        self._sounds_from = self._sounds_since = 0.0
        """The second of the clip from which on there was no hole, and the moment it was handed over."""
        self._holes = 0

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield what there is, until the clip ends or others may go first.

        Raises:
            ClipError: the clip failed, and all that it had before was read.
        """
        if self._live is None:
            await self._clip.wait_past(self._frame)  # only then it is known which transport speaks
            await self._gather(self._headstart)
        while pcm := await (self._read() if self._live is None else self._read_live(self._live)):
            self._frame += len(pcm) // BYTES_PER_FRAME
            yield pcm

    async def _read(self) -> bytes:
        if self._frame >= self._clip.frames:
            await self._clip.wait_past(self._frame)
            if self._is_dry:
                close = is_repeat_underrun(self._holes, self._second - self._sounds_from)
                self._holes = self._holes + 1 if close else 1
                await self._gather(rebuffer_s(self._holes))
        return await self._clip.read(self._frame)

    async def _read_live(self, live: LiveText) -> bytes:
        """What its sender pauses is no hole."""
        patience = LIVE_IDLE_S
        while True:
            try:
                async with asyncio.timeout(patience):
                    return await self._clip.read(self._frame)
            except TimeoutError:
                patience = GLANCE
                # Before its first sound it may just be slow to be made, unless there is no text at all.
                if (self._turn.sounds or not live.text.strip()) and self._waits():
                    self._turn.parked = True
                    return b""

    async def _gather(self, wanted: float) -> None:
        """Wait until the clip is so many seconds ahead, but not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await self._clip.wait_buffered(self._frame, wanted)
        self._sounds_from, self._sounds_since = self._second, _now()

    @property
    def _second(self) -> float:
        return self._frame / self._clip.rate

    @property
    def _headstart(self) -> float:
        """What is critical is better said with a hole than late."""
        return (
            0.0 if self._turn.announcement.urgency is Urgency.CRITICAL else self._turn.speech.target_buffer_s
        )

    @property
    def _is_dry(self) -> bool:
        """Whether all of it was heard; an output that is faster than the ear never is."""
        heard = self._turn.position / self._clip.rate
        could_be_heard = _now() - self._sounds_since
        return heard >= self._second - LAG and could_be_heard >= self._second - self._sounds_from


def _now() -> float:
    return asyncio.get_running_loop().time()
