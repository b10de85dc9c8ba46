"""One announcement on its way to the sound card: resampled, sent a little ahead, kept until it was heard."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice_plugins.sound_card_child import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice import Progress, Resampler
    from edgevoice_plugins.sound_card.process import CardProcess

AHEAD_S = 0.15
"""Seconds sent ahead of what was heard: what a stop has to forget, and how long the daemon may be late."""


class Playback:
    """Frames at the card's rate, from the first one not yet heard on; a new process goes on from there.

    `lead_in` is the silence in s that the first one needs before it.
    """

    def __init__(
        self,
        audio: AsyncIterator[bytes],
        resampler: Resampler,
        progress: Progress,
        news: Callable[[], None],
        *,
        lead_in: float = 0.0,
    ) -> None:
        self.heard = 0
        self.moved_at = monotonic()
        """When the card last got on, or was last asked for something while it owed nothing."""
        self._audio = audio
        self._resampler = resampler
        self._progress = progress
        self._news = news
        self._lead_in = lead_in
        self._rate = resampler.target_rate
        self._unheard = bytearray()
        self._handed = self._sent = 0
        self._begun = 0
        """The frame that the process counts from."""
        self._complete = self._end_sent = self._opened = False
        self._error: Exception | None = None
        self._space = asyncio.Event()

    async def fill(self) -> None:
        """Read the audio, not much further than the card has come."""
        try:
            async for pcm in self._audio:
                await self._keep(self._resampler.feed(pcm))
            await self._keep(self._resampler.feed(b"", last=True))
        except Exception as error:  # noqa: BLE001 - raised by `over`, when what came before it was heard
            self._error = error
        self._complete = True
        self._news()

    def begin(self, card: CardProcess) -> None:
        """Start on a process that knows nothing of it."""
        self._begun = self._sent = self.heard
        self._end_sent = self._opened = False
        self.moved_at = monotonic()
        lead_in = 0.0 if self.has_sounded else self._lead_in
        card.begin(self._rate, round(lead_in * self._rate))

    def advance(self, card: CardProcess) -> None:
        """Take note of what the card did, and send as much as it may have.

        Raises:
            ProcessLost: it has ended; begin again with another.
        """
        self.note(card)
        card.check()
        was_owing = self.is_owed
        most = self.heard + max(round(self._rate * AHEAD_S), (card.told.capacity or 0) + self._period)
        while self._sent < min(self._end, most):
            start = (self._sent - self.heard) * wire.BYTES_PER_FRAME
            pcm = self._unheard[start : start + self._period * wire.BYTES_PER_FRAME]
            card.send(wire.AUDIO + pcm)
            self._sent += len(pcm) // wire.BYTES_PER_FRAME
        if self._complete and self._sent == self._end and not self._end_sent:
            card.send(wire.END)
            self._end_sent = True
        if self.is_owed and not was_owing:
            self.moved_at = monotonic()

    def note(self, card: CardProcess) -> None:
        """Tell the progress what the card said."""
        told = card.told
        heard = self._begun + told.heard
        if not self._opened and told.capacity is not None:
            self._opened = True
            self.moved_at = monotonic() + (0.0 if self.has_sounded else self._lead_in)
        if (handed := self._begun + told.handed) > self._handed:
            self._handed = handed
            self._progress.written(self._resampler.source_frames(self._handed))
        if heard > self.heard:
            del self._unheard[: (heard - self.heard) * wire.BYTES_PER_FRAME]
            self.heard = heard
            self.moved_at = monotonic()
            self._progress.played(self._resampler.source_frames(heard))
            self._space.set()

    def is_over(self, card: CardProcess) -> bool:
        """Whether it was heard but for the last `EARLY_S`; raises the error that the audio ended with, if any."""
        if not card.told.done:
            return False
        frames = self._resampler.taken if self._error is None else self._resampler.source_frames(self._sent)
        self._progress.written(frames)
        self._progress.played(frames)
        if self._error is not None:
            raise self._error
        return True

    @property
    def has_sounded(self) -> bool:
        """Whether any of it was handed to a card."""
        return self._handed > 0

    @property
    def is_owed(self) -> bool:
        """Whether the card has something to do, so that its silence would be a fault."""
        return not self._opened or self._end_sent or self._sent > self.heard

    @property
    def _end(self) -> int:
        return self.heard + len(self._unheard) // wire.BYTES_PER_FRAME

    @property
    def _period(self) -> int:
        return round(self._rate * wire.PERIOD_S)

    async def _keep(self, pcm: bytes) -> None:
        self._unheard += pcm
        self._news()
        while len(self._unheard) > self._rate * AHEAD_S * 2 * wire.BYTES_PER_FRAME:
            self._space.clear()
            await self._space.wait()
