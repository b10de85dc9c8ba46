"""The output `sound_card`: plays through a child process, watches its progress, and replaces it."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice import Output, OutputError, Resampler
from edgevoice_plugins.sound_card.lead_in import LeadInTracker
from edgevoice_plugins.sound_card.options import Options
from edgevoice_plugins.sound_card.playback import Playback
from edgevoice_plugins.sound_card.process import ChildProcess, ProcessLostError

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the output waits, in seconds."""

    #: A process that makes no progress is replaced. A sound server may well stall for less.
    stall_s: float = 3.0
    #: No further process is tried after this long without progress; the speaker tries again later.
    recovery_s: float = 5.0
    #: Pause between two processes that made no progress.
    retry_s: float = 0.2
    #: A process that does not confirm a stop is killed; a stop takes 2 ms.
    stop_s: float = 0.5
    #: `stall_reason` reports a stall that was not handled for this long.
    unhandled_stall_s: float = 10.0


class SoundCard(Output):
    """Plays on one device."""

    options = Options

    def __init__(self, context: Context, options: Options, timeouts: Timeouts | None = None) -> None:
        super().__init__(context, options)
        self._options = options
        self._timeouts = timeouts or Timeouts()
        self._speech_rate = context.speech.sample_rate
        self._lead_in = LeadInTracker(self.speaker, options, monotonic)
        #: Held during an announcement or a probe: one at a time.
        self._lock = asyncio.Lock()
        #: Set at each change of the process's status or of the audio.
        self._changed = asyncio.Event()
        self._child: ChildProcess | None = None
        #: When the current playback counts as stalled; monotonic seconds.
        self._deadline: float | None = None
        self._stack = AsyncExitStack()

    @classmethod
    def missing_dependency(cls) -> str | None:
        return None if importlib.util.find_spec("pyaudio") else MISSING

    @property
    def pid(self) -> int | None:
        """Process id of the current child process."""
        return self._child.pid if self._child is not None else None

    @property
    def lead_in(self) -> LeadIn:
        """The silence before the first sound, and its reason."""
        return self._lead_in.lead_in

    def stall_reason(self) -> str | None:
        if self._deadline is None or monotonic() < self._deadline + self._timeouts.unhandled_stall_s:
            return None
        return f"the sound card of {self.speaker} makes no progress and cannot be replaced"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._kill, "the output is closed")
            with suppress(ProcessLostError):  # `probe` or `play` will report it
                await self._running_child()
            # Load the resampler now, so that the first announcement does not wait for it.
            await self._resampler(self._speech_rate)
            await stack.enter_async_context(self._lead_in)
            stack.push_async_callback(self._drain)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def probe(self) -> None:
        async with self._lock:
            try:
                child = await self._running_child()
                child.probe(self._card_rate(self._speech_rate))
                async with asyncio.timeout(self._timeouts.recovery_s):
                    while not child.status.is_open:
                        await self._wait_for_change()
                        child.check()
                self._lead_in.add_name(child.status.device)
            except ProcessLostError as error:
                raise self._output_error(error) from error
            except TimeoutError as error:
                self._kill("no answer")
                raise self._output_error(
                    f"the sound system has not answered for {self._timeouts.recovery_s:.0f} s"
                ) from error

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        async with self._lock:
            resampler = await self._resampler(rate)
            playback = Playback(
                audio, resampler, progress, self._changed.set, lead_in_s=self._lead_in.needed_s()
            )
            filling = asyncio.create_task(playback.fill())
            try:
                await self._play(playback)
            except asyncio.CancelledError:
                await self._stop(playback)
                raise
            finally:
                if playback.has_sounded:
                    self._lead_in.sound_ended()
                self._deadline = None
                filling.cancel()
                await asyncio.gather(filling, return_exceptions=True)

    async def _play(self, playback: Playback) -> None:
        """Play to the end, replacing the process as often as needed."""
        give_up_at: float | None = None
        while True:
            played = playback.played
            try:
                await self._play_on(await self._running_child(), playback)
            except ProcessLostError as error:
                if give_up_at is None or playback.played > played:
                    give_up_at = monotonic() + self._timeouts.recovery_s
                    continue
                if monotonic() >= give_up_at:
                    raise self._output_error(error) from error
                await asyncio.sleep(self._timeouts.retry_s)
            else:
                return

    async def _play_on(self, child: ChildProcess, playback: Playback) -> None:
        playback.start_on(child)
        while True:
            self._changed.clear()
            playback.advance(child)
            if playback.is_done(child):
                return
            self._deadline = (
                playback.progressed_at + self._timeouts.stall_s if playback.expects_progress else None
            )
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._changed.wait()
            except TimeoutError:
                self._kill("it made no progress")

    async def _stop(self, playback: Playback) -> None:
        """Stop the sound at once, and report how much was played."""
        child = self._child
        if child is None or child.lost is not None:
            return
        try:
            child.stop()
            async with asyncio.timeout(self._timeouts.stop_s):
                while not child.status.is_stopped:
                    await self._wait_for_change()
                    child.check()
        except (ProcessLostError, TimeoutError):
            self._kill("it did not stop")
        except asyncio.CancelledError:
            self._kill("its stop was cancelled")
            raise
        finally:
            playback.report(child)

    async def _drain(self) -> None:
        """Wait until the last frames of the last announcement were played."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeouts.stop_s):
                while self._child is not None and self._child.is_draining:
                    await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _running_child(self) -> ChildProcess:
        """Return the child process; spawn one if there is none or it is lost."""
        if self._child is None or self._child.lost is not None:
            self._child = await ChildProcess.spawn(self._options.device, self._changed.set)
        return self._child

    def _kill(self, reason: str) -> None:
        if self._child is not None:
            self._child.kill(reason)

    def _card_rate(self, rate: int) -> int:
        return self._options.sample_rate or rate

    async def _resampler(self, rate: int) -> Resampler:
        if self._card_rate(rate) == rate:
            return Resampler(rate, rate)
        return await asyncio.to_thread(Resampler, rate, self._card_rate(rate))

    def _output_error(self, reason: object) -> OutputError:
        return OutputError(f"the sound card of {self.speaker} ({self._options.device}): {reason}")
