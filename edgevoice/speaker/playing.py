"""The way from a clip to an output: chime and speech, how loud, and how far it was heard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice.errors import ClipError
from edgevoice.speaker import volume
from edgevoice.speaker.cursor import Cursor
from edgevoice.synthesis.clip import BYTES_PER_FRAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.speaker.turn import Turn

SLICE = 24_000
"""Bytes at a time, so that a change of volume is heard soon."""


class Playing:
    """One pass of a turn over its output: the chime, then the audio from the turn's position on.

    `on_sound` is called when the first sample is handed over, `on_heard` whenever more was heard; `waits`
    tells whether somebody else does. `ramp` lets the very first sound grow over 5 ms.
    """

    def __init__(
        self,
        turn: Turn,
        *,
        chime: bytes = b"",
        ramp: bool = False,
        on_sound: Callable[[], None],
        on_heard: Callable[[], None],
        waits: Callable[[], bool],
    ) -> None:
        self._turn = turn
        self._chime = chime
        self._ramp = volume.Ramp(turn.speech.clip.rate if ramp else 0)
        self._gain = volume.Gain(turn.volume, turn.speech.clip.rate)
        self._on_sound = on_sound
        self._on_heard = on_heard
        self._cursor = Cursor(turn, waits)
        self._from = turn.position
        self._lead = len(chime) // BYTES_PER_FRAME
        self._handed = False

    def written(self, frames: int) -> None:
        if frames > self._lead and self._turn.first_speech is None:
            self._turn.first_speech = asyncio.get_running_loop().time()
        if frames > 0 and not self._handed:
            self._handed = True
            self._on_sound()

    def played(self, frames: int) -> None:
        self._turn.heard(self._from + frames - self._lead)
        self._on_heard()

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield what the output plays; an error of the clip is kept, so that what came before is heard out."""
        async for pcm in self._sound():
            ramped = self._ramp.apply(pcm)
            for start in range(0, len(ramped), SLICE):
                yield await self._loud(ramped[start : start + SLICE])

    async def instead(self, pcm: bytes) -> AsyncIterator[bytes]:
        """Yield a sound in place of speech that cannot be had; none of it counts as spoken."""
        self._lead = len(pcm) // BYTES_PER_FRAME
        yield await self._loud(pcm)

    async def _loud(self, pcm: bytes) -> bytes:
        """The samples at the volume of now; what that needs is loaded by a thread."""
        if not self._gain.is_ready(self._turn.volume):
            await asyncio.to_thread(volume.load)
        return self._gain.apply(pcm, self._turn.volume)

    async def _sound(self) -> AsyncIterator[bytes]:
        if self._chime:
            yield self._chime
        try:
            async for pcm in self._cursor.audio():
                yield pcm
        except ClipError as error:
            self._turn.error = error
