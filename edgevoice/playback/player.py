"""The player of one item: reads its clip while that is filled, and writes it to the output at its volume."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.audio import gain
from edgevoice.audio.clip import BYTES_PER_FRAME
from edgevoice.errors import ClipError, OutputError
from edgevoice.playback import resume
from edgevoice.scheduler.actions import Progressed, Refilled, Resumed, SpeechStarted, Started, Starved
from edgevoice.synthesis.headstart import LONGEST, is_repeat_underrun, rebuffer_s
from edgevoice.synthesis.parts import LIVE_IDLE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.audio.chimes import Chimes
    from edgevoice.plugin import Output
    from edgevoice.scheduler.actions import Play, PlaybackEvent
    from edgevoice.synthesis.speech import SpeechJob
    from edgevoice.text.live import LiveText

#: Seconds between attempts to open a lost output again.
RETRY_S = 1.0
#: Bytes that are scaled at a time, so that a change of volume is heard soon.
SLICE_BYTES = 24_000
#: Seconds between checks whether live text that is silent can be heard to its end by now.
RECHECK_S = 0.25
#: Seconds by which the reported position may lag behind an output that has run dry.
PLAYOUT_SLACK_S = 0.03


class Player:
    """Plays one item over an output and reports what is heard; cancel `run` to stop at once.

    `report` takes the playback events; `fault` takes what is wrong with the output, or None.
    """

    def __init__(  # noqa: PLR0913 - the parts it connects
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
        self._job = job
        self._clip = job.clip
        self._output = output
        self._chimes = chimes
        self._report = report
        self._fault = fault
        self._volume = play.volume
        self._position = round(play.from_s * self._clip.rate)
        self._is_parked = False
        #: Where the reader waits for live text.
        self._patience: asyncio.Timeout | None = None
        self._has_sounded = False
        self._has_spoken = False
        #: When the output was first lost after a sound, and the position then.
        self._lost: tuple[float, int] | None = None
        self._error: ClipError | None = None

    @property
    def position(self) -> int:
        """The frame up to which the clip was heard."""
        return self._position

    async def run(self) -> None:
        """Play the item to its end.

        Raises:
            OutputError: the output was lost and did not come back within the ttl of the item.
            ClipError: the clip failed; all that it had was heard.
        """
        if self._play.resume_not_before_s is not None:
            not_before = round(self._play.resume_not_before_s * self._clip.rate)
            self._position = await resume.resume_position(self._clip, self._position, not_before)
            self._report(Resumed(self._item, self._position / self._clip.rate))
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
        if self._patience is not None:
            self._patience.reschedule(_now())

    async def wait_for_pause(self) -> None:
        """Wait until a pause is being heard, for at most 2 s."""
        with contextlib.suppress(ClipError):
            await resume.wait_for_pause(self._clip, lambda: self._position)

    def _give_up_at(self) -> float:
        """Return when a lost output is waited for no longer: at its deadline, or after its ttl of silence in all."""
        if not self._has_sounded and self._play.deadline is not None:
            return self._play.deadline
        if self._lost is None:
            self._lost = _now(), self._position
        since, position = self._lost
        heard_since_s = (self._position - position) / self._clip.rate
        return since + self._item.announcement.ttl + heard_since_s

    async def _play_once(self) -> None:
        rate, is_critical = self._clip.rate, self._item.announcement.urgency is Urgency.CRITICAL
        name = self._play.chime if self._position == 0 else None
        chime = await self._chime(name) if name is not None else b""
        stream = _Stream(self, chime, is_ramped=is_critical)
        await self._output.play(stream.audio(), rate, stream)
        if self._error is not None and is_critical and self._position == 0:
            # No transport and no voice spoke: a critical announcement is at least an alarm tone.
            tone = await asyncio.to_thread(self._chimes.tone, rate)
            await self._output.play(stream.fallback_tone(tone), rate, stream)

    async def _chime(self, name: str) -> bytes:
        if not self._chimes.is_loaded(name, self._clip.rate):
            return await asyncio.to_thread(self._chimes.sound, name, self._clip.rate)
        return self._chimes.sound(name, self._clip.rate)


class _Stream:
    """One pass over the output: the chime, then the clip from the player's position; and its `Progress`.

    Part of `Player`, whose private attributes it uses.
    """

    def __init__(self, player: Player, chime: bytes, *, is_ramped: bool) -> None:
        self._player = player
        self._chime = chime
        rate = player._clip.rate
        self._ramp = gain.Ramp(rate if is_ramped else 0)
        self._gain = gain.Gain(player._volume, rate)
        self._reader = _ClipReader(player)
        self._from = player._position
        #: Frames that precede the speech.
        self._lead = len(chime) // BYTES_PER_FRAME
        self._has_written = False

    def written(self, frames: int) -> None:
        player = self._player
        if frames > self._lead and not player._has_spoken:
            player._has_spoken = True
            player._report(SpeechStarted(player._item))
        if frames > 0 and not self._has_written:
            self._has_written = player._has_sounded = True
            player._report(Started(player._item))

    def played(self, frames: int) -> None:
        player, clip = self._player, self._player._clip
        player._position = max(player._position, self._from + frames - self._lead)
        buffered = max(0, clip.frames - player._position)
        player._report(Progressed(player._item, player._position / clip.rate, buffered / clip.rate))

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield what the output plays. An error of the clip is kept until what came before was heard."""
        async for pcm in self._chime_and_speech():
            ramped = self._ramp.apply(pcm)
            for start in range(0, len(ramped), SLICE_BYTES):
                yield await self._scaled(ramped[start : start + SLICE_BYTES])

    async def fallback_tone(self, pcm: bytes) -> AsyncIterator[bytes]:
        """Yield a sound in place of the speech; none of it counts as spoken."""
        self._lead = len(pcm) // BYTES_PER_FRAME
        yield await self._scaled(pcm)

    async def _chime_and_speech(self) -> AsyncIterator[bytes]:
        if self._chime:
            yield self._chime
        try:
            async for pcm in self._reader.audio():
                yield pcm
        except ClipError as error:
            self._player._error = error

    async def _scaled(self, pcm: bytes) -> bytes:
        """Return the samples at the current volume."""
        volume = self._player._volume
        if not self._gain.is_ready(volume):
            await asyncio.to_thread(gain.load)
        return self._gain.apply(pcm, volume)


class _ClipReader:
    """Reads a clip while it is filled, buffering enough to avoid underruns. Part of `Player`."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._clip = player._clip
        self._frame = player._position
        #: The second of the clip since which there was no underrun, and the moment it was yielded.
        self._steady_from_s = self._steady_since = 0.0
        self._underruns = 0

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield what there is, until the clip ends or the player is parked.

        Raises:
            ClipError: the clip failed, and all that it had before was read.
        """
        live = self._player._item.announcement.live
        if live is None:
            await self._clip.wait_past(self._frame)  # only then it is known which transport speaks
            await self._buffer(self._target_buffer_s)
        while pcm := await (self._read() if live is None else self._read_live(live)):
            self._frame += len(pcm) // BYTES_PER_FRAME
            yield pcm

    async def _read(self) -> bytes:
        if self._frame >= self._clip.frames:
            await self._clip.wait_past(self._frame)
            if self._has_underrun:
                is_repeat = is_repeat_underrun(self._underruns, self._second - self._steady_from_s)
                self._underruns = self._underruns + 1 if is_repeat else 1
                await self._buffer(rebuffer_s(self._underruns))
        return await self._clip.read(self._frame)

    async def _read_live(self, live: LiveText) -> bytes:
        """Read on; a pause of the sender is no underrun. Report when everything was said so far."""
        player, patience_s, is_starved = self._player, LIVE_IDLE_S, False
        while not player._is_parked:
            try:
                async with asyncio.timeout(patience_s) as player._patience:
                    pcm = await self._clip.read(self._frame)
            except TimeoutError:
                patience_s = RECHECK_S
                # Before its first sound the text may just be slow to synthesize, unless there is none.
                is_silent = player._has_sounded or not live.text.strip()
                if is_silent is not is_starved:
                    is_starved = is_silent
                    player._report((Starved if is_silent else Refilled)(player._item))
            else:
                if is_starved:
                    player._report(Refilled(player._item))
                return pcm
            finally:
                player._patience = None
        return b""

    async def _buffer(self, wanted_s: float) -> None:
        """Wait until the clip is `wanted_s` seconds ahead, within limits."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await self._clip.wait_buffered(self._frame, wanted_s)
        self._steady_from_s, self._steady_since = self._second, _now()

    @property
    def _second(self) -> float:
        return self._frame / self._clip.rate

    @property
    def _target_buffer_s(self) -> float:
        """Critical announcements start unbuffered: a gap is better than a delay."""
        is_critical = self._player._item.announcement.urgency is Urgency.CRITICAL
        return 0.0 if is_critical else self._player._job.target_buffer_s

    @property
    def _has_underrun(self) -> bool:
        """Whether all of it was heard; an output that is faster than real time never underruns."""
        heard_s = self._player._position / self._clip.rate
        could_be_heard_s = _now() - self._steady_since
        is_heard = heard_s >= self._second - PLAYOUT_SLACK_S
        return is_heard and could_be_heard_s >= self._second - self._steady_from_s


def _now() -> float:
    return asyncio.get_running_loop().time()
