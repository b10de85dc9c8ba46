import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soxr

from edgevoice import ClipError
from edgevoice_plugins.sound_card.output import Options, SoundCard
from edgevoice_plugins.sound_card_child import wire
from tests.support.outputs import Recorder, context, in_bursts, pieces
from tests.support.pulse import Pulse, noise

RATE = 24000


async def test_play_every_sample(pulse: Pulse, card: SoundCard) -> None:
    pcm = noise(RATE + 7)
    progress = Recorder()
    await card.play(pieces(pcm), RATE, progress)
    assert progress.frames_heard == progress.frames_handed == RATE + 7
    assert await pulse.hears(pcm)
    assert pulse.without_silence() == pcm


async def test_play_several_each_whole(pulse: Pulse, card: SoundCard) -> None:
    spoken = [noise(frames, seed) for seed, frames in enumerate((4800, 1, 479, 481, 7200))]
    for pcm in spoken:
        await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.until(lambda: pulse.without_silence() == b"".join(spoken))


async def test_resampled_equals_soxr_oneshot(pulse: Pulse, tmp_path: Path) -> None:
    pcm = noise(12001)
    once = soxr.resample(np.frombuffer(pcm, np.int16), 12000, RATE).tobytes()
    progress = Recorder()
    async with SoundCard(context(tmp_path), Options(sample_rate=RATE)) as card:
        await card.play(pieces(pcm, largest=500), 12000, progress)
    assert progress.frames_heard == 12001
    assert await pulse.hears(once, within=1)


async def test_resampled_to_48_khz_equals_soxr_oneshot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Pulse(48000) as pulse:
        pulse.enter(monkeypatch)
        pcm = noise(RATE)
        once = soxr.resample(np.frombuffer(pcm, np.int16), RATE, 48000).tobytes()
        async with SoundCard(context(tmp_path), Options(sample_rate=48000)) as card:
            await card.play(pieces(pcm), RATE, Recorder())
        assert await pulse.hears(once, within=1)
        assert not await pulse.hears(once[2:] + once[:2], within=1, timeout=0)


async def test_long_piece_at_the_highest_rate_fits_the_socket(pulse: Pulse, tmp_path: Path) -> None:
    progress = Recorder()
    async with SoundCard(context(tmp_path), Options(sample_rate=192_000)) as card:
        pid = card.pid
        await card.play(pieces(noise(2 * RATE), largest=2 * RATE), RATE, progress)
        assert card.pid == pid
    assert progress.frames_heard == 2 * RATE
    assert pulse.without_silence()


async def test_progress_is_reported_rarely(card: SoundCard) -> None:
    positions: list[int] = []

    class Counter(Recorder):
        def played(self, frames: int) -> None:
            super().played(frames)
            positions.append(frames)

    progress = Counter()
    await card.play(pieces(noise(2 * RATE)), RATE, progress)
    steps = [after - before for before, after in pairwise(positions)]
    # The first report is that of the first write, the last that of the end.
    assert positions[0] == 0
    assert positions[-1] == 2 * RATE
    assert min(steps[:-1]) >= wire.REPORT_S * RATE
    # A busy machine may be late for some of them.
    assert sorted(steps)[len(steps) // 2] <= 0.1 * RATE


async def test_slow_source_loses_no_sample(pulse: Pulse, card: SoundCard) -> None:
    bursts = [noise(frames, seed) for seed, frames in enumerate((30, 2400, 100, 1700, 479, 960))]
    progress = Recorder()
    await card.play(in_bursts(bursts, 0.4), RATE, progress)
    assert await pulse.until(lambda: pulse.without_silence() == b"".join(bursts))
    assert progress.frames_heard == sum(map(len, bursts)) // 2


async def test_underrun_plays_the_last_frames(pulse: Pulse, card: SoundCard) -> None:
    progress = Recorder()
    more = asyncio.Event()

    async def pausing() -> AsyncIterator[bytes]:
        yield noise(1450, 1)
        await more.wait()
        yield noise(30, 2)
        assert await pulse.hears(noise(30, 2))
        assert await pulse.until(lambda: progress.frames_heard == 1480)

    playing = asyncio.create_task(card.play(pausing(), RATE, progress))
    assert await pulse.hears(noise(1450, 1))
    await asyncio.sleep(0.3)
    more.set()
    await playing
    assert pulse.without_silence() == noise(1450, 1) + noise(30, 2)


async def test_cancel_stops_and_reports_position(pulse: Pulse, card: SoundCard) -> None:
    differences = []
    for seed in range(5):
        before = len(pulse.without_silence())
        pcm = noise(5 * RATE, seed)
        progress = Recorder()
        playing = asyncio.create_task(card.play(pieces(pcm), RATE, progress))
        assert await pulse.until(lambda: pcm[:2400] in pulse.captured())  # noqa: B023 - called at once
        await asyncio.sleep(0.2 + 0.007 * seed)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert playing.cancelled()
        await asyncio.sleep(0.2)
        captured = pulse.without_silence()[before:]
        assert pcm.startswith(captured)
        differences.append(abs(len(captured) // 2 - progress.frames_heard) / RATE)
    assert max(differences) <= 0.06
    # The card holds 60 ms, which are neither played to the end nor reported as played.
    assert sorted(differences)[2] <= 0.035


async def test_cancel_in_an_underrun_keeps_the_process(pulse: Pulse, card: SoundCard) -> None:
    pid = card.pid
    progress = Recorder()
    playing = asyncio.create_task(card.play(in_bursts([noise(2400, 1), noise(2400, 2)], 60), RATE, progress))
    assert await pulse.hears(noise(2400, 1))
    await asyncio.sleep(0.5)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    assert progress.frames_heard == 2400
    await card.play(pieces(noise(2400, 3)), RATE, Recorder())
    assert await pulse.hears(noise(2400, 3))
    assert card.pid == pid


async def test_next_after_cancel_is_whole(pulse: Pulse, card: SoundCard) -> None:
    following = noise(4800, 99)
    for seed, when in enumerate((0.0, 0.001, 0.01, 0.05, 0.2)):
        playing = asyncio.create_task(card.play(pieces(noise(RATE, seed)), RATE, Recorder()))
        await asyncio.sleep(when)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    pid = card.pid
    await card.play(pieces(following), RATE, Recorder())
    assert await pulse.hears(following)
    assert card.pid == pid


async def test_concurrent_plays_are_serialized(pulse: Pulse, card: SoundCard) -> None:
    one, two = noise(4800, 1), noise(4800, 2)
    await asyncio.gather(card.play(pieces(one), RATE, Recorder()), card.play(pieces(two), RATE, Recorder()))
    assert await pulse.until(lambda: pulse.without_silence() == one + two)


async def test_audio_error_is_raised_after_its_audio(pulse: Pulse, card: SoundCard) -> None:
    pcm = noise(7200)

    async def failing() -> AsyncIterator[bytes]:
        yield pcm
        raise ClipError("the transport is gone")

    progress = Recorder()
    with pytest.raises(ClipError, match="the transport is gone"):
        await card.play(failing(), RATE, progress)
    assert progress.frames_heard == 7200
    assert await pulse.hears(pcm)


async def test_empty_audio_ends_at_once(card: SoundCard) -> None:
    progress = Recorder()
    await card.play(pieces(b""), RATE, progress)
    assert progress.frames_heard == 0


async def test_next_after_idle_close_is_whole(pulse: Pulse, card: SoundCard) -> None:
    one, two = noise(2400, 1), noise(2400, 2)
    await card.play(pieces(one), RATE, Recorder())
    assert pulse.streams() == 1
    assert await pulse.until(lambda: pulse.streams() == 0, timeout=15)
    await card.play(pieces(two), RATE, Recorder())
    assert await pulse.until(lambda: pulse.without_silence() == one + two)


async def test_other_rate_reopens_the_card(pulse: Pulse, card: SoundCard) -> None:
    await card.play(pieces(noise(1600)), 16000, Recorder())
    pcm = noise(4800)
    await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.hears(pcm)
