"""Silence detection against the contract's definition, in the local voice at three speeds and in known bursts."""

import math
from random import Random

import numpy as np
import pytest

from edgevoice.audio import silence as detection
from edgevoice_plugins.local_voice.pool import VoicePool
from tests.support.bursts import text_of
from tests.support.local_voice import said
from tests.support.speech import samples

RATE = 24_000
TEXT = (
    "The washing machine has finished. Please empty it, hang up the laundry, and close the lid. "
    "The garden door is still open, although it is going to rain this evening. "
    "Somebody has rung at the front door; it may be the parcel that you are waiting for."
)


def tone(seconds, level=8000.0, rate=RATE):
    wave = level * np.sin(2 * np.pi * 500 * np.arange(round(seconds * rate)) / rate)
    return np.rint(wave).astype("<i2").tobytes()


def silence(seconds, rate=RATE):
    return bytes(2 * round(seconds * rate))


def seconds_of(pcm, rate=RATE):
    return len(pcm) / 2 / rate


def by_definition(pcm, rate):
    """The contract's sentence, window by window, with no trick at all."""
    size = rate // 100
    values = np.frombuffer(pcm, "<i2").astype(np.float64)
    levels = [
        math.sqrt(float(np.mean(values[at : at + size] ** 2)))
        for at in range(0, len(values) - size + 1, size)
    ]
    quiet = []
    for index, level in enumerate(levels):
        past = sorted(levels[max(0, index - 499) : index + 1])
        loud = past[math.floor(0.95 * (len(past) - 1))]
        quiet.append(level == 0 or (loud > 0 and 20 * math.log10(level / loud) <= -30))
    found, start = [], None
    for index, is_quiet in enumerate([*quiet, False]):
        if is_quiet and start is None:
            start = index
        elif not is_quiet and start is not None:
            if index - start >= 8:
                found.append((start, index))
            start = None
    return found


@pytest.fixture(scope="module")
def spoken():
    import asyncio  # noqa: PLC0415

    async def speak():
        async with VoicePool() as pool:
            for speed in (130, 175, 240):
                yield speed, *await said(pool, TEXT, speed=speed / 175)

    async def collect():
        return {speed: (b"".join(chunks), words) async for speed, chunks, words in speak()}

    return asyncio.run(collect())


@pytest.mark.parametrize("speed", [130, 175, 240])
def test_silences_match_definition(spoken, speed):
    pcm, _ = spoken[speed]
    found = detection.silences_in(detection.window_power(pcm, RATE))
    assert found == by_definition(pcm, RATE)
    # One at least after each of the three sentences that another follows.
    assert len([run for run in found if run[0] > 0 and run[1] * 0.01 < seconds_of(pcm) - 0.1]) >= 3


@pytest.mark.parametrize("speed", [130, 175, 240])
def test_resume_frame_in_real_speech(spoken, speed):
    pcm, _ = spoken[speed]
    levels = detection.window_power(pcm, RATE)
    for cut in range(round(1.5 * RATE), len(pcm) // 2, round(0.137 * RATE)):
        frame = detection.resume_frame(pcm[: cut * 2], RATE)
        assert 0 <= frame <= cut - 0.08 * RATE
        window = frame // 240
        runs = [run for run in by_definition(pcm[: cut * 2], RATE) if run[1] > (cut // 240) - 1000]
        if runs:
            assert (window, window + 8) == (runs[-1][1] - 8, runs[-1][1])
        else:
            energy = [sum(levels[at : at + 8]) for at in range(cut // 240 - 150, cut // 240 - 7)]
            assert sum(levels[window : window + 8]) <= min(energy) * 1.01


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_silences_in_known_bursts(rate):
    dice, pcm, expected = Random(rate), b"", []
    for length in (0.08, 0.07, 0.3, 0.05, 0.12, 1.0):
        pcm += tone(dice.randint(30, 150) / 100, rate=rate)
        start = round(seconds_of(pcm, rate) * 100)
        pcm += silence(length, rate)
        if length >= 0.08:
            expected.append((start, start + round(length * 100)))
    pcm += tone(0.5, rate=rate)
    found = detection.silences_in(detection.window_power(pcm, rate))
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert abs(mine[0] - theirs[0]) <= 1
        assert abs(mine[1] - theirs[1]) <= 1


@pytest.mark.parametrize(("below", "is_pause"), [(-29, False), (-31, True)])
def test_silence_threshold_is_30_db(below, is_pause):
    pcm = tone(2) + tone(0.2, 8000 * 10 ** (below / 20)) + tone(0.5)
    assert bool(detection.silences_in(detection.window_power(pcm, RATE))) is is_pause


def test_loudness_window_is_5_s():
    whisper = tone(1, 200)
    pcm = tone(2) + whisper + tone(1) + tone(5.5, 200) + silence(0.1) + whisper
    found = [
        (round(first / 100, 1), round(end / 100, 1))
        for first, end in detection.silences_in(detection.window_power(pcm, RATE))
    ]
    assert found[0] == (2.0, 3.0)
    assert found[-1] == (9.5, 9.6)
    assert all(end - first < 5.5 for first, end in found)


def test_resume_frame_early_is_0():
    assert detection.resume_frame(tone(0.5) + silence(0.3) + tone(0.6), RATE) == 0
    assert detection.resume_frame(b"", RATE) == 0


def test_resume_frame_is_in_last_pause():
    pcm = tone(1.5) + silence(0.3) + tone(1.5) + silence(0.3) + tone(0.7)
    assert detection.resume_frame(pcm, RATE) == round((3.6 - 0.08) * RATE)
    # A cut in the pause itself is in it.
    assert detection.resume_frame(pcm[: round(3.4 * RATE) * 2], RATE) == round((3.4 - 0.08) * RATE)


def test_resume_frame_searches_10_s():
    pcm = tone(1.5) + silence(0.3) + tone(9.9)
    assert detection.resume_frame(pcm, RATE) == round(1.72 * RATE)
    pcm = tone(1.5) + silence(0.3) + tone(9) + tone(0.08, 2000) + tone(1.2)
    assert detection.resume_frame(pcm, RATE) == round(10.8 * RATE)


def test_next_silence_includes_current():
    pcm = tone(1) + silence(0.3) + tone(1) + silence(0.3) + tone(1)

    def next_pause(at):
        found = detection.next_silence(pcm, RATE, round(at * RATE))
        return None if found is None else round(found / RATE, 2)

    assert [next_pause(at) for at in (0, 0.99, 1.2, 1.31, 2.5, 2.61)] == [1.08, 1.08, 1.2, 2.38, 2.5, None]


def test_silences_between_bursts():
    pcm = samples(text_of(range(5)), RATE)
    found = detection.silences_in(detection.window_power(pcm, RATE))
    assert [round(first / 100, 1) for first, _ in found] == [1.5, 3.3, 5.1, 6.9, 8.7]
