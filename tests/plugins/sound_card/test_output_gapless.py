"""Gapless playback on a real sound server: no silence between announcements, and no sample lost."""

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from edgevoice_plugins.sound_card.output import Options, SoundCard
from tests.support.outputs import Recorder, context, pieces
from tests.support.pulse import Pulse, longest_run_at_the_beginning, noise

RATE = 24000


async def test_no_gap_between_ready_announcements(pulse: Pulse, card: SoundCard) -> None:
    spoken = [noise(3000 + 37 * number, number) for number in range(20)]
    for pcm in spoken:
        progress = Recorder()
        await card.play(pieces(pcm), RATE, progress)
        assert progress.frames_heard == len(pcm) // 2
    assert await pulse.until(lambda: pulse.without_silence() == b"".join(spoken))
    joints = [one[-960:] + two[:960] for one, two in pairwise(spoken)]
    # A busy machine may be late for some of them, but not for most.
    assert sum(pulse.find(joint) is not None for joint in joints) > len(joints) / 2


async def test_late_announcement_loses_nothing(pulse: Pulse, card: SoundCard) -> None:
    spoken = [noise(2400, number) for number in range(12)]
    for number, pcm in enumerate(spoken):
        await card.play(pieces(pcm), RATE, Recorder())
        await asyncio.sleep(0.008 * number)
    assert await pulse.until(lambda: pulse.without_silence() == b"".join(spoken))


@pytest.mark.parametrize("when", [0.0, 0.002, 0.01, 0.03])
async def test_cancel_at_start_keeps_the_end_of_the_previous(
    pulse: Pulse, card: SoundCard, when: float
) -> None:
    before, cancelled, after = noise(4811, 1), noise(RATE, 2), noise(2400, 3)
    await card.play(pieces(before), RATE, Recorder())
    progress = Recorder()
    playing = asyncio.create_task(card.play(pieces(cancelled), RATE, progress))
    await asyncio.sleep(when)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    await card.play(pieces(after), RATE, Recorder())
    assert await pulse.hears(after)
    heard = pulse.without_silence()
    assert heard.startswith(before)
    assert heard.endswith(after)
    rest = heard[len(before) : len(heard) - len(after)]
    assert cancelled.startswith(rest)
    assert len(rest) // 2 <= progress.frames_heard + 0.06 * RATE


async def test_other_rate_keeps_the_end_of_the_previous(pulse: Pulse, card: SoundCard) -> None:
    one, two = noise(4811, 1), noise(3000, 2)
    await card.play(pieces(one), RATE, Recorder())
    await card.play(pieces(noise(1600, 3)), 16000, Recorder())
    await card.play(pieces(two), RATE, Recorder())
    assert await pulse.hears(one)
    assert await pulse.hears(two)


async def test_killed_after_done_loses_at_most_the_last_period(pulse: Pulse, card: SoundCard) -> None:
    pcm, following = noise(7200, 1), noise(2400, 2)
    await card.play(pieces(pcm), RATE, Recorder())
    os.kill(card.pid or 0, signal.SIGKILL)
    await card.play(pieces(following), RATE, Recorder())
    assert await pulse.hears(following)
    heard = pulse.without_silence().removesuffix(following)
    assert pcm.startswith(heard)
    assert longest_run_at_the_beginning(heard, pcm) >= 7200 - 0.05 * RATE


async def test_close_waits_for_the_last_sample(pulse: Pulse, tmp_path: Path) -> None:
    pcm = noise(4811)
    async with SoundCard(context(tmp_path), Options()) as card:
        await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.hears(pcm)
