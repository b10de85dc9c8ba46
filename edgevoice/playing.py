"""The way from a clip to an output: what is read, how loud, and how far it was heard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice import volume
from edgevoice.clip import BYTES_PER_FRAME
from edgevoice.errors import ClipError
from edgevoice.parts import IDLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.turn import Turn

GLANCE = 0.25
"""Seconds between looks at whether somebody else waits, while live text is silent."""


class Playing:
    """One pass of a turn over its output: the audio from the turn's position on, and its progress.

    `on_start` is called when the first sample is handed over; `other` tells who else waits.
    """

    def __init__(
        self, turn: Turn, on_start: Callable[[Turn], None], other: Callable[[], Turn | None]
    ) -> None:
        self._turn = turn
        self._on_start = on_start
        self._other = other
        self._from = turn.position
        self._handed = False

    def handed(self, frames: int) -> None:
        if frames > 0 and not self._handed:
            self._handed = True
            self._on_start(self._turn)

    def heard(self, frames: int) -> None:
        self._turn.position = max(self._turn.position, self._from + frames)

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield what the output plays; an error of the clip is kept, so that what came before is heard out."""
        frame = self._from
        try:
            while pcm := await self._read(frame):
                frame += len(pcm) // BYTES_PER_FRAME
                yield volume.scale(pcm, self._turn.volume)
        except ClipError as error:
            self._turn.error = error

    async def _read(self, frame: int) -> bytes:
        clip = self._turn.speech.clip
        if self._turn.announcement.live is None:
            return await clip.read(frame)
        patience = IDLE
        while True:
            try:
                async with asyncio.timeout(patience):
                    return await clip.read(frame)
            except TimeoutError:
                patience = GLANCE
                if self._handed and self._other() is not None:
                    self._turn.parked = True
                    return b""
