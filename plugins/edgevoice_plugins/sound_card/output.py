"""The output `sound_card`: plays through a child process, watches its progress, and replaces it."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from edgevoice import BYTES_PER_FRAME, Output, OutputError, Resampler
from edgevoice_plugins.sound_card.lead_in import LeadInTracker
from edgevoice_plugins.sound_card.process import ChildProcess, ProcessLostError
from edgevoice_plugins.sound_card_child import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from edgevoice import Context, Progress
    from edgevoice_plugins.sound_card.lead_in import LeadIn

#: Audio is read and sent in pieces of this length, as long as less than one is not played. A stop drops what was
#: sent, and a change of volume comes after it; but the daemon may be late by it.
AHEAD_S = 0.2

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


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of a speaker with `output: sound_card`."""

    #: Name of the device, or a part of it.
    device: Annotated[str, Meta(min_length=1, max_length=200)] = "default"
    #: Rate of the card in Hz; None for the rate of the speech.
    sample_rate: Annotated[int, Meta(ge=8000, le=192_000)] | None = None
    #: Silence before the first sound; `auto` for the default of the kind of sink.
    lead_in_ms: Annotated[int, Meta(ge=0, le=5000)] | Literal["auto"] = msgspec.field(
        default="auto", name="lead_in"
    )
    #: Seconds without sound after which the lead-in is needed; None for `SUSPEND_AFTER_S`.
    lead_in_after_s: Annotated[float, Meta(ge=0, le=86400)] | None = msgspec.field(
        default=None, name="lead_in_after"
    )


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
        self._child: ChildProcess | None = None
        #: When the progress of the current playback is checked next; monotonic seconds.
        self._check_at: float | None = None
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
        if self._check_at is None or monotonic() < self._check_at + self._timeouts.unhandled_stall_s:
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
                    await child.wait_for(wire.OPENED)
                self._lead_in.add_name(child.device)
            except ProcessLostError as error:
                raise self._output_error(error) from error
            except TimeoutError as error:
                self._kill("no answer")
                raise self._output_error(
                    f"the sound system has not answered for {self._timeouts.recovery_s:.0f} s"
                ) from error

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        async with self._lock:
            playback = Playback(
                audio,
                self._card_rate(rate),
                await self._resampler(rate),
                progress,
                lead_in_s=self._lead_in.needed_s(),
            )
            filling = asyncio.create_task(playback.fill())
            try:
                await self._play(playback)
            except asyncio.CancelledError:
                await self._stop()
                raise
            finally:
                if playback.written:
                    self._lead_in.sound_ended()
                self._check_at = None
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
        while not child.has_received(wire.DONE):
            self._check_at = monotonic() + self._timeouts.stall_s - child.stalled_s
            try:
                async with asyncio.timeout_at(self._check_at):
                    await child.wait_for(wire.DONE)
            except TimeoutError:
                if child.stalled_s >= self._timeouts.stall_s:
                    child.kill("it made no progress")
        playback.finish()

    async def _stop(self) -> None:
        """Stop the sound at once; the process reports how much was played."""
        child = self._child
        if child is None or child.lost is not None:
            return
        child.stop()
        try:
            async with asyncio.timeout(self._timeouts.stop_s):
                await child.wait_for(wire.STOPPED)
        except (ProcessLostError, TimeoutError):
            child.kill("it did not stop")
        except asyncio.CancelledError:
            child.kill("its stop was cancelled")
            raise

    async def _drain(self) -> None:
        """Wait until the last frames of the last announcement were played."""
        if self._child is not None and self._child.has_received(wire.DONE):
            with suppress(ProcessLostError, TimeoutError):
                async with asyncio.timeout(self._timeouts.stop_s):
                    await self._child.wait_for(wire.DRAINED)

    async def _running_child(self) -> ChildProcess:
        """Return the child process; spawn one if there is none or it is lost."""
        if self._child is None or self._child.lost is not None:
            self._child = await ChildProcess.spawn(self._options.device)
        return self._child

    def _kill(self, reason: str) -> None:
        if self._child is not None:
            self._child.kill(reason)

    def _card_rate(self, rate: int) -> int:
        return self._options.sample_rate or rate

    async def _resampler(self, rate: int) -> Resampler | None:
        if self._card_rate(rate) == rate:
            return None
        return await asyncio.to_thread(Resampler, rate, self._card_rate(rate))

    def _output_error(self, reason: object) -> OutputError:
        return OutputError(f"the sound card of {self.speaker} ({self._options.device}): {reason}")


class Playback:
    """The frames of an announcement at the card's rate, from the first that was not played yet.

    If the child process is lost, another one continues there.
    """

    def __init__(
        self,
        audio: AsyncIterator[bytes],
        rate: int,
        resampler: Resampler | None,
        progress: Progress,
        *,
        lead_in_s: float,
    ) -> None:
        #: Frames written to the card, and frames played.
        self.written = self.played = 0
        self._audio = audio
        self._rate = rate
        self._resampler = resampler
        self._progress = progress
        self._lead_in_s = lead_in_s
        self._child: ChildProcess | None = None
        #: Frame from which the current process counts.
        self._start_frame = 0
        self._ahead_bytes = round(rate * AHEAD_S) * BYTES_PER_FRAME
        self._unplayed = bytearray()
        self._is_complete = False
        self._audio_error: Exception | None = None
        self._has_space = asyncio.Event()

    async def fill(self) -> None:
        """Read the audio and send it, a little ahead of what is played. An error of the audio is kept for `finish`."""
        try:
            async for pcm in self._audio:
                await self._send(pcm if self._resampler is None else self._resampler.feed(pcm))
            if self._resampler is not None:
                await self._send(self._resampler.feed(b"", last=True))
        except Exception as error:  # noqa: BLE001 - raised by `finish`, once the audio before it was played
            self._audio_error = error
        self._is_complete = True
        if self._child is not None:
            self._child.end()

    def start_on(self, child: ChildProcess) -> None:
        """Start on a process that has nothing of this announcement."""
        self._child = child
        self._start_frame = self.played
        child.start(self._rate, 0.0 if self.written else self._lead_in_s, self._report)
        child.write(bytes(self._unplayed))
        if self._is_complete:
            child.end()

    def finish(self) -> None:
        """Report all of it as played.

        Raises:
            Exception: The error that `audio` ended with, if any.
        """
        if self._resampler is not None and self._audio_error is None:
            frames = self._resampler.taken
        else:
            frames = self._source_frames(self.played + len(self._unplayed) // BYTES_PER_FRAME)
        self._progress.written(frames)
        self._progress.played(frames)
        if self._audio_error is not None:
            raise self._audio_error

    async def _send(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), self._ahead_bytes):
            piece = pcm[start : start + self._ahead_bytes]
            self._unplayed += piece
            if self._child is not None:
                self._child.write(piece)
            while len(self._unplayed) >= self._ahead_bytes:
                self._has_space.clear()
                await self._has_space.wait()

    def _report(self, written: int, played: int) -> None:
        """Take the frames that the current process has written and played."""
        self.written = max(self.written, self._start_frame + written)
        newly_played = self._start_frame + played - self.played
        if newly_played > 0:
            self.played += newly_played
            del self._unplayed[: newly_played * BYTES_PER_FRAME]
            if len(self._unplayed) < self._ahead_bytes:
                self._has_space.set()
        source_written, source_played = self._source_frames(self.written), self._source_frames(self.played)
        self._progress.written(source_written)
        self._progress.played(source_played)

    def _source_frames(self, frames: int) -> int:
        return frames if self._resampler is None else self._resampler.source_frames(frames)
