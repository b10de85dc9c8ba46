"""Playback of one announcement: resample it, send it a little ahead, and keep it until it was played."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice_plugins.sound_card_child import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice import Progress, Resampler
    from edgevoice_plugins.sound_card.process import ChildProcess

#: Audio sent ahead of what was played: a stop has to drop this much, and the daemon may be late by this much.
SEND_AHEAD_S = 0.15


class Playback:
    """The frames of an announcement at the card's rate, from the first frame that was not played yet.

    If the child process is lost, another one continues there.
    """

    def __init__(
        self,
        audio: AsyncIterator[bytes],
        resampler: Resampler,
        progress: Progress,
        on_change: Callable[[], None],
        *,
        lead_in_s: float = 0.0,
    ) -> None:
        #: Frames played.
        self.played = 0
        #: When the card last made progress, or was last given work while it had none; monotonic seconds.
        self.progressed_at = monotonic()
        self._audio = audio
        self._resampler = resampler
        self._progress = progress
        self._on_change = on_change
        self._lead_in_s = lead_in_s
        self._rate = resampler.target_rate
        self._unplayed = bytearray()
        #: Frames written to the card, and frames sent to the current process.
        self._written = self._sent = 0
        #: Frame from which the current process counts.
        self._start_frame = 0
        self._is_complete = self._end_sent = self._is_open = False
        self._audio_error: Exception | None = None
        self._has_space = asyncio.Event()

    async def fill(self) -> None:
        """Read the audio, not much further ahead than it is sent. An error of the audio is kept for `is_done`."""
        try:
            async for pcm in self._audio:
                await self._append(self._resampler.feed(pcm))
            await self._append(self._resampler.feed(b"", last=True))
        except Exception as error:  # noqa: BLE001 - raised by `is_done`, once the audio before it was played
            self._audio_error = error
        self._is_complete = True
        self._on_change()

    def start_on(self, child: ChildProcess) -> None:
        """Start on a process that has nothing of this announcement.

        Raises:
            ProcessLostError: The process is lost.
        """
        self._start_frame = self._sent = self.played
        self._end_sent = self._is_open = False
        self.progressed_at = monotonic()
        lead_in_s = 0.0 if self.has_sounded else self._lead_in_s
        child.start(self._rate, round(lead_in_s * self._rate))

    def advance(self, child: ChildProcess) -> None:
        """Report the progress of the card, and send as many frames as are due.

        Raises:
            ProcessLostError: The process is lost; start on another one.
        """
        self.report(child)
        child.check()
        expected_progress = self.expects_progress
        ahead = max(round(self._rate * SEND_AHEAD_S), (child.status.capacity or 0) + self._period)
        while self._sent < min(self._end, self.played + ahead):
            start = (self._sent - self.played) * wire.BYTES_PER_FRAME
            pcm = bytes(self._unplayed[start : start + self._period * wire.BYTES_PER_FRAME])
            child.write(pcm)
            self._sent += len(pcm) // wire.BYTES_PER_FRAME
        if self._is_complete and self._sent == self._end and not self._end_sent:
            child.end()
            self._end_sent = True
        if self.expects_progress and not expected_progress:
            self.progressed_at = monotonic()

    def report(self, child: ChildProcess) -> None:
        """Pass the status of the process on to `progress`."""
        status = child.status
        if not self._is_open and status.is_open:
            self._is_open = True
            # The card is silent during the lead-in: that is no stall.
            self.progressed_at = monotonic() + (0.0 if self.has_sounded else self._lead_in_s)
        if (written := self._start_frame + status.written) > self._written:
            self._written = written
            self._progress.written(self._resampler.source_frames(written))
        if (played := self._start_frame + status.played) > self.played:
            del self._unplayed[: (played - self.played) * wire.BYTES_PER_FRAME]
            self.played = played
            self.progressed_at = monotonic()
            self._progress.played(self._resampler.source_frames(played))
            self._has_space.set()

    def is_done(self, child: ChildProcess) -> bool:
        """Return whether all but the last `DONE_EARLY_S` was played; if so, report all of it as played.

        Raises:
            Exception: The error that `audio` ended with, if any.
        """
        if not child.status.is_done:
            return False
        ok = self._audio_error is None
        frames = self._resampler.taken if ok else self._resampler.source_frames(self._sent)
        self._progress.written(frames)
        self._progress.played(frames)
        if self._audio_error is not None:
            raise self._audio_error
        return True

    @property
    def has_sounded(self) -> bool:
        """Whether any of it was written to a card."""
        return self._written > 0

    @property
    def expects_progress(self) -> bool:
        """Whether the card has work, so that a lack of progress is a fault."""
        return not self._is_open or self._end_sent or self._sent > self.played

    @property
    def _end(self) -> int:
        return self.played + len(self._unplayed) // wire.BYTES_PER_FRAME

    @property
    def _period(self) -> int:
        return round(self._rate * wire.PERIOD_S)

    async def _append(self, pcm: bytes) -> None:
        self._unplayed += pcm
        self._on_change()
        while len(self._unplayed) > self._rate * SEND_AHEAD_S * 2 * wire.BYTES_PER_FRAME:
            self._has_space.clear()
            await self._has_space.wait()
