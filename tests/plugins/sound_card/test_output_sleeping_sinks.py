"""A sink that loses the first audio after a suspension: the lead-in saves the first word."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevoice_plugins.sound_card.output import Options, SoundCard, Timeouts
from tests.support.outputs import Recorder, context, in_bursts, pieces
from tests.support.pulse import Pulse, noise
from tests.support.sleepy import SleepySpeaker

RATE = 24000
WORD = noise(9600, 1)
NEXT = noise(4800, 2)


@pytest.fixture
def sleepy(monkeypatch: pytest.MonkeyPatch) -> Iterator[SleepySpeaker]:
    with SleepySpeaker(lost_s=0.3) as speaker:
        speaker.enter(monkeypatch)
        yield speaker


async def play_two(speaker: SleepySpeaker, folder: Path, options: Options) -> None:
    """Play WORD on a suspended sink, and NEXT right after it."""
    await speaker.wait_suspended()
    async with SoundCard(context(folder), options) as card:
        for pcm in (WORD, NEXT):
            progress = Recorder()
            await card.play(pieces(pcm), RATE, progress)
            assert progress.frames_heard == progress.frames_handed == len(pcm) // 2
    assert await speaker.hears(NEXT)


async def test_without_lead_in_the_first_word_is_lost(sleepy: SleepySpeaker, tmp_path: Path) -> None:
    await play_two(sleepy, tmp_path, Options())
    assert sleepy.find(WORD) is None


async def test_lead_in_saves_the_first_word_and_is_not_repeated(
    sleepy: SleepySpeaker, tmp_path: Path
) -> None:
    await play_two(sleepy, tmp_path, Options(lead_in_ms=400))
    assert sleepy.without_silence() == WORD + NEXT
    between = sleepy.captured().partition(WORD)[2].partition(NEXT)[0]
    assert len(between) // 2 < 0.4 * RATE


async def test_lead_in_again_after_a_suspension(sleepy: SleepySpeaker, tmp_path: Path) -> None:
    async with SoundCard(context(tmp_path), Options(lead_in_ms=400)) as card:
        for pcm in (WORD, NEXT):
            await sleepy.wait_suspended()
            await card.play(pieces(pcm), RATE, Recorder())
        assert await sleepy.until(lambda: sleepy.without_silence() == WORD + NEXT)


async def test_lead_in_by_the_sound_servers_name_of_the_sink(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        pulse.load("module-null-sink sink_name=alsa_output.usb-Attic-00.analog-stereo")
        pulse.set_default_sink("alsa_output.usb-Attic-00.analog-stereo")
        async with SoundCard(context(tmp_path), Options()) as card:
            assert await pulse.until(lambda: card.lead_in.reason == "a USB sink")
        async with SoundCard(context(tmp_path), Options(lead_in_ms=0)) as card:
            await card.probe()
            assert card.lead_in.duration_s == 0


async def test_lead_in_plays_during_synthesis_and_the_sound_is_whole(
    sleepy: SleepySpeaker, tmp_path: Path
) -> None:
    await sleepy.wait_suspended()
    progress = Recorder()
    async with SoundCard(context(tmp_path), Options(lead_in_ms=400)) as card:
        playing = asyncio.create_task(card.play(in_bursts([b"", WORD], 1.0), RATE, progress))
        await sleepy.until(lambda: len(sleepy.captured()) // 2 > RATE // 2)
        assert progress.frames_handed == 0
        await playing
    assert await sleepy.until(lambda: sleepy.without_silence() == WORD)


async def test_lead_in_longer_than_a_stall_is_no_stall(pulse: Pulse, tmp_path: Path) -> None:
    options = Options(lead_in_ms=1200)
    async with SoundCard(context(tmp_path), options, Timeouts(stall_s=0.6)) as card:
        await card.probe()
        pid = card.pid
        await card.play(in_bursts([b"", WORD], 0.3), RATE, Recorder())
        assert card.pid == pid
    assert await pulse.until(lambda: pulse.without_silence() == WORD)


async def test_cancel_during_lead_in_reports_nothing_played(sleepy: SleepySpeaker, tmp_path: Path) -> None:
    await sleepy.wait_suspended()
    async with SoundCard(context(tmp_path), Options(lead_in_ms=600)) as card:
        progress = Recorder()
        playing = asyncio.create_task(card.play(pieces(NEXT), RATE, progress))
        await asyncio.sleep(0.4)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert progress.frames_handed == progress.frames_heard == 0
        await card.play(pieces(WORD), RATE, Recorder())
    assert await sleepy.until(lambda: sleepy.without_silence() == WORD)
