"""The player of one item: reads its clip while that is filled, and writes it to the output at its volume."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.audio import BYTES_PER_FRAME, gain, silence
from edgevoice.audio.jitter_buffer import MAX_BUFFER_S, rebuffer_s
from edgevoice.errors import ClipError, OutputError
from edgevoice.scheduler import actions as act
from edgevoice.synthesis.segments import LIVE_IDLE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.audio.chimes import Chimes
    from edgevoice.audio.clip import Clip
    from edgevoice.plugin import Output
    from edgevoice.scheduler.actions import Play, PlaybackEvent
    from edgevoice.synthesis.synthesizer import SpeechJob
    from edgevoice.text.live import LiveText

#: Seconds between attempts to open a lost output again.
RETRY_S = 1.0
#: Progress is reported when this many seconds were heard or synthesized since the last report.
PROGRESS_S = 0.25
#: Bytes that are scaled at a time, so that a change of volume is heard soon.
SLICE_BYTES = 24_000
#: Seconds between checks whether live text that is silent can be heard to its end by now.
RECHECK_S = 0.25
#: Seconds by which the reported position may lag behind an output that has run dry.
PLAYOUT_SLACK_S = 0.03
#: Seconds within which a high announcement interrupts, at the next pause or without one (docs/guides/urgency.md).
MAX_PAUSE_WAIT_S = 2.0
#: Seconds between two looks at how far the clip was heard.
POLL_S = 0.01
#: Seconds of audio that must be new before a pause is searched again.
NEW_AUDIO_S = 0.1


@dataclass(slots=True)
class _Pass:
    """A pass over the output: the state from which a lost output starts again."""

    ramp: gain.Ramp
    gain: gain.Gain
    #: The frame of the clip at which it starts.
    start: int
    #: The frame of the clip that is read next.
    frame: int
    #: Frames of another sound that precede the speech.
    lead: int
    has_written: bool = False
    #: The second of the clip since which there was no underrun, and the moment it was yielded.
    steady_from_s: float = 0.0
    steady_since: float = 0.0
    underruns: int = 0


class Player:
    """Plays one item over an output and reports what is heard; cancel `run` to stop at once.

    `report` takes the playback events; `fault` takes what is wrong with the output, or None. The player is
    the `Progress` that its output is given.
    """

    def __init__(
        self,
        play: Play,
        job: SpeechJob,
        output: Output,
        chimes: Chimes,
        *,
        report: Callable[[PlaybackEvent], None],
        fault: Callable[[str | None], None],
    ) -> None:
        self._play = play
        self._item = play.item
        self._is_critical = play.item.announcement.urgency is Urgency.CRITICAL
        self._job = job
        self._clip = job.clip
        self._output = output
        self._chimes = chimes
        self._report = report
        self._fault = fault
        self._volume = play.volume
        self._position = round(play.from_s * self._clip.rate)
        #: The position and the length of the clip, in frames, when progress was last reported.
        self._reported = self._position, 0
        self._pass = self._new_pass(b"")
        self._is_parked = False
        #: The position at which playback waits for live text.
        self._live_timeout: asyncio.Timeout | None = None
        self._has_sounded = False
        self._has_spoken = False
        #: When the output was first lost after a sound, and the position then.
        self._lost: tuple[float, int] | None = None
        self._error: ClipError | None = None

    async def run(self) -> None:
        """Play the item to its end.

        Raises:
            OutputError: the output was lost and did not come back within the ttl of the item.
            ClipError: the clip failed; all that it had was heard.
        """
        if self._play.resume_not_before_s is not None:
            not_before = round(self._play.resume_not_before_s * self._clip.rate)
            self._position = await resume_position(self._clip, self._position, not_before)
            self._report(act.Resumed(self._item, self._position / self._clip.rate))
        while True:
            try:
                await self._play_once()
            except OutputError as error:
                self._fault(str(error))
                if _now() + RETRY_S > self._give_up_at():
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                self._fault(None)
                break
        if self._error is not None:
            raise self._error

    def set_volume(self, volume: int) -> None:
        self._volume = volume

    def park(self) -> None:
        """End after what was written; more live text is not waited for."""
        self._is_parked = True
        if self._live_timeout is not None and not self._live_timeout.expired():
            self._live_timeout.reschedule(_now())

    async def report_pause(self) -> None:
        """Report when a pause is being heard, after at most 2 s."""
        with contextlib.suppress(ClipError):
            await wait_for_pause(self._clip, lambda: self._position)
        self._report(act.PauseReached(self._item))

    def written(self, frames: int) -> None:
        """Take the number of frames that the output has taken in this pass."""
        if frames > self._pass.lead and not self._has_spoken:
            self._has_spoken = True
            self._report(act.SpeechStarted(self._item))
        if frames > 0 and not self._pass.has_written:
            self._pass.has_written = self._has_sounded = True
            self._report(act.Started(self._item))

    def played(self, frames: int) -> None:
        """Take the number of frames that were heard in this pass."""
        self._position = max(self._position, self._pass.start + frames - self._pass.lead)
        # An output tells every few milliseconds; the scheduler decides nothing that needs it so often.
        position, end = self._reported
        if max(self._position - position, self._clip.frames - end) >= PROGRESS_S * self._clip.rate:
            self._report_progress()

    def _report_progress(self) -> None:
        self._reported = self._position, self._clip.frames
        rate, buffered = self._clip.rate, max(0, self._clip.frames - self._position)
        self._report(act.Progressed(self._item, self._position / rate, buffered / rate))

    def _give_up_at(self) -> float:
        """Return when a lost output is waited for no longer: its deadline, or its ttl of silence in all."""
        if not self._has_sounded and self._play.deadline is not None:
            return self._play.deadline
        if self._lost is None:
            self._lost = _now(), self._position
        since, position = self._lost
        heard_since_s = (self._position - position) / self._clip.rate
        return since + self._item.announcement.ttl + heard_since_s

    async def _play_once(self) -> None:
        rate, name, chime = self._clip.rate, self._play.chime, b""
        if name is not None and self._position == 0:
            if self._chimes.is_loaded(name, rate):
                chime = self._chimes.sound(name, rate)
            else:
                chime = await asyncio.to_thread(self._chimes.sound, name, rate)
        self._pass = self._new_pass(chime)
        try:
            await self._output.play(self._audio(chime), rate, self)
        finally:
            self._report_progress()
        if self._error is not None and self._is_critical and self._position == 0:
            # No transport and no voice spoke: a critical announcement is at least an alarm tone, of which
            # nothing counts as spoken.
            tone = await asyncio.to_thread(self._chimes.tone, rate)
            self._pass = self._new_pass(tone)
            await self._output.play(self._audio(tone, has_speech=False), rate, self)

    def _new_pass(self, lead: bytes) -> _Pass:
        ramp = gain.Ramp(self._clip.rate if self._is_critical else 0)
        lead_frames = len(lead) // BYTES_PER_FRAME
        return _Pass(
            ramp, gain.Gain(self._volume, self._clip.rate), self._position, self._position, lead_frames
        )

    # Reading the clip while it is filled, buffering enough to avoid underruns

    async def _audio(self, lead: bytes, *, has_speech: bool = True) -> AsyncIterator[bytes]:
        """Yield what the output plays, at the current volume: another sound, and the speech.

        An error of the clip is kept until what came before was heard.
        """
        state = self._pass
        try:
            async for pcm in self._sounds(lead, has_speech=has_speech):
                ramped = state.ramp.apply(pcm) if has_speech else pcm
                for start in range(0, len(ramped), SLICE_BYTES):
                    if not state.gain.is_ready(self._volume):
                        await asyncio.to_thread(gain.load)
                    yield state.gain.apply(ramped[start : start + SLICE_BYTES], self._volume)
        except ClipError as error:
            self._error = error

    async def _sounds(self, lead: bytes, *, has_speech: bool) -> AsyncIterator[bytes]:
        """Yield `lead`, and what the clip has, until it ends or the player is parked.

        Raises:
            ClipError: the clip failed, and all that it had before was read.
        """
        if lead:
            yield lead
        if not has_speech:
            return
        live = self._item.announcement.live
        if live is None:
            await self._clip.wait_past(self._pass.frame)  # only then it is known which transport speaks
            # A gap in a critical announcement is better than a delay.
            await self._buffer(0.0 if self._is_critical else self._job.target_buffer_s)
        while pcm := await (self._read() if live is None else self._read_live(live)):
            self._pass.frame += len(pcm) // BYTES_PER_FRAME
            yield pcm

    async def _read(self) -> bytes:
        state = self._pass
        if state.frame >= self._clip.frames:
            await self._clip.wait_past(state.frame)
            if self._has_underrun:
                state.underruns += 1
                await self._buffer(rebuffer_s(state.underruns))
        return await self._clip.read(state.frame)

    async def _read_live(self, live: LiveText) -> bytes:
        """Return the next audio of live text. Report `Starved` once all was played, `Refilled` when more comes."""
        timeout_s, is_starved = LIVE_IDLE_S, False
        while not self._is_parked:
            try:
                async with asyncio.timeout(timeout_s) as self._live_timeout:
                    pcm = await self._clip.read(self._pass.frame)
            except TimeoutError:
                timeout_s = RECHECK_S
                # Before its first sound the text may just be slow to synthesize, unless there is none.
                is_silent = self._has_sounded or not live.text.strip()
                if is_silent is not is_starved:
                    is_starved = is_silent
                    self._report(act.Starved(self._item) if is_silent else act.Refilled(self._item))
            else:
                if is_starved:
                    self._report(act.Refilled(self._item))
                return pcm
            finally:
                self._live_timeout = None
        return b""

    async def _buffer(self, wanted_s: float) -> None:
        """Wait until the clip is `wanted_s` seconds ahead, within limits."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_BUFFER_S):
                await self._clip.wait_buffered(self._pass.frame, wanted_s)
        self._pass.steady_from_s = self._pass.frame / self._clip.rate
        self._pass.steady_since = _now()

    @property
    def _has_underrun(self) -> bool:
        """Whether the output has played all that was read. An output faster than real time never underruns."""
        second = self._pass.frame / self._clip.rate
        is_heard = self._position / self._clip.rate >= second - PLAYOUT_SLACK_S
        could_be_heard_s = _now() - self._pass.steady_since
        return is_heard and could_be_heard_s >= second - self._pass.steady_from_s


def _now() -> float:
    return asyncio.get_running_loop().time()


async def resume_position(clip: Clip, cut: int, not_before: int) -> int:
    """Return the frame at which a clip continues that was cut at frame `cut`.

    It is the last pause before the cut, but not before frame `not_before`, where it last
    continued: what lies before that was heard up to a pause already.

    Raises:
        ClipError: the clip was closed.
    """
    begin = max(0, cut - round((silence.SEARCH_S + silence.LOUDNESS_WINDOW_S) * clip.rate))
    heard = await clip.excerpt(begin, cut)
    # In a thread, because numpy may have to be loaded first and the event loop must not wait for that.
    found = begin + await asyncio.to_thread(silence.resume_frame, heard, clip.rate)
    return max(found, not_before)


async def wait_for_pause(clip: Clip, position: Callable[[], int]) -> None:
    """Wait until a pause of the clip is being heard, for at most 2 s.

    `position` returns the frame up to which the clip was heard.

    Raises:
        ClipError: the clip was closed.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MAX_PAUSE_WAIT_S):
            frame = await _next_pause(clip, position)
            while position() < frame:  # noqa: ASYNC110 - the output reports what was heard in periods
                await asyncio.sleep(max(POLL_S, (frame - position()) / clip.rate))


async def _next_pause(clip: Clip, position: Callable[[], int]) -> int:
    """Return the frame up to which a pause must be heard; search again when there is more audio."""
    start, searched = position(), -1
    begin = max(0, start - round(silence.LOUDNESS_WINDOW_S * clip.rate))
    while True:
        end, ended = clip.frames, clip.ended
        if searched < 0 or ended or end - searched >= NEW_AUDIO_S * clip.rate:
            ahead = await clip.excerpt(begin, min(end, start + round((MAX_PAUSE_WAIT_S + 0.5) * clip.rate)))
            found = await asyncio.to_thread(silence.next_silence, ahead, clip.rate, start - begin)
            if found is not None:
                return begin + found
            searched = end
        # The clip's end counts as a pause, and so does audio that is not synthesized yet.
        if ended or 0 < clip.frames <= position():
            return end
        await asyncio.sleep(NEW_AUDIO_S / 2)
