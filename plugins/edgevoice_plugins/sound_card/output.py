"""The output `sound_card`: plays through a process of its own, watches it, and replaces it."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice import Output, OutputError, Resampler
from edgevoice_plugins.sound_card.options import Options
from edgevoice_plugins.sound_card.playback import Playback
from edgevoice_plugins.sound_card.process import CardProcess, ProcessLost
from edgevoice_plugins.sound_card.waking import Waking
from edgevoice_plugins.sound_card_child import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from edgevoice import Context, Progress
    from edgevoice_plugins.sound_card.lead_in import LeadIn

MISSING = (
    'needs pyaudio: pip install "edgevoice[audio]" '
    "(to build it: apt-get install portaudio19-dev gcc python3-dev)"
)
STALLED_S = 3.0
"""Without progress for so long, the process is replaced; a sound server may well stall for less."""
BACK_WITHIN_S = 5.0
"""After so long no further process is tried; the speaker tries again later."""
RETRY_S = 0.2
STOPPED_WITHIN_S = 0.5
"""A stop takes 2 ms; a process that is silent for so long is stopped by SIGKILL."""
STUCK_S = 10.0
"""So long after a deadline that passed unseen, this part cannot help itself."""


class SoundCard(Output):
    """Plays on one device."""

    options = Options

    def __init__(self, context: Context, options: Options) -> None:
        super().__init__(context, options)
        self._options = options
        self._speaker = self.speaker
        self._usual_rate = context.speech.sample_rate
        self._waking = Waking(self.speaker, options, context.state_dir, monotonic)
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._process: CardProcess | None = None
        self._deadline: float | None = None

    @classmethod
    def missing_dependency(cls) -> str | None:
        return None if importlib.util.find_spec("pyaudio") else MISSING

    @property
    def pid(self) -> int | None:
        """The id of the process that has the card now."""
        return self._process.pid if self._process is not None else None

    @property
    def lead_in(self) -> LeadIn:
        """The silence that goes before the first sound, and why."""
        return self._waking.lead_in

    def stall_reason(self) -> str | None:
        if self._deadline is None or monotonic() < self._deadline + STUCK_S:
            return None
        return f"the sound card of {self._speaker} makes no progress and cannot be replaced"

    async def __aenter__(self) -> Self:
        with suppress(ProcessLost):  # the first to need it will say so
            self._started()
        await self._waking.begin()
        # What resampling needs is loaded before the first announcement waits for it.
        await asyncio.to_thread(Resampler, self._usual_rate, self._rate(self._usual_rate))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._waking.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOPPED_WITHIN_S):
                while self._process is not None and self._process.is_fading:
                    await self._something_new()
        self._replace("the output is closed")

    async def probe(self) -> None:
        async with self._turn:
            try:
                process = self._started()
                process.told.capacity = None
                process.send(wire.pack(wire.TRY, self._rate(self._usual_rate)))
                async with asyncio.timeout(BACK_WITHIN_S):
                    while not process.told.is_open:
                        await self._something_new()
                        process.check()
                self._waking.is_called(process.told.device)
            except ProcessLost as lost:
                raise OutputError(self._sentence(lost)) from lost
            except TimeoutError as late:
                self._replace("no answer")
                raise OutputError(
                    self._sentence(f"the sound system has not answered for {BACK_WITHIN_S:.0f} s")
                ) from late

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        async with self._turn:
            resampler = await self._resampler(rate)
            playback = Playback(audio, resampler, progress, self._news.set, lead_in=self._waking.needed())
            filling = asyncio.create_task(playback.fill())
            try:
                await self._play(playback)
            except asyncio.CancelledError:
                await self._silence(playback)
                raise
            finally:
                if playback.has_sounded:
                    self._waking.sounded()
                self._deadline = None
                filling.cancel()
                await asyncio.gather(filling, return_exceptions=True)

    async def _play(self, playback: Playback) -> None:
        """Play to the end, on as many processes as it takes."""
        give_up: float | None = None
        while True:
            heard = playback.heard
            try:
                await self._play_on(self._started(), playback)
            except ProcessLost as lost:
                if give_up is None or playback.heard > heard:
                    give_up = monotonic() + BACK_WITHIN_S
                    continue
                if monotonic() >= give_up:
                    raise OutputError(self._sentence(lost)) from lost
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _play_on(self, process: CardProcess, playback: Playback) -> None:
        playback.begin(process)
        while True:
            self._news.clear()
            playback.advance(process)
            if playback.is_over(process):
                return
            self._deadline = playback.moved_at + STALLED_S if playback.is_owed else None
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._news.wait()
            except TimeoutError:
                self._replace("it made no progress")

    async def _silence(self, playback: Playback) -> None:
        """Stop the sound at once, and tell the progress how far it came."""
        process = self._process
        if process is None or process.lost is not None:
            return
        try:
            process.send(wire.pack(wire.STOP))
            async with asyncio.timeout(STOPPED_WITHIN_S):
                while not process.told.stopped:
                    await self._something_new()
                    process.check()
        except (ProcessLost, TimeoutError):
            self._replace("it did not stop")
        except asyncio.CancelledError:
            self._replace("it was not stopped")
            raise
        finally:
            playback.note(process)

    async def _something_new(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _started(self) -> CardProcess:
        if self._process is None or self._process.lost is not None:
            self._process = CardProcess.born(self._options.device, self._news.set)
        return self._process

    def _replace(self, why: str) -> None:
        if self._process is not None:
            self._process.kill(why)

    def _rate(self, rate: int) -> int:
        return self._options.sample_rate or rate

    async def _resampler(self, rate: int) -> Resampler:
        if self._rate(rate) == rate:
            return Resampler(rate, rate)
        return await asyncio.to_thread(Resampler, rate, self._rate(rate))

    def _sentence(self, why: object) -> str:
        return f"the sound card of {self._speaker} ({self._options.device}): {why}"
