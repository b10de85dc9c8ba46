"""The bench's detection of sounds in known samples."""

import numpy as np
import pytest

from bench.figures.sounds import Silence, find_interruption, holes, onset, seconds_of_sound, tone_amplitude

RATE = 48000


def sound(seconds, frequency=400):
    """A tone at a quarter of full scale that begins at 0."""
    at = np.arange(round(seconds * RATE)) / RATE
    return (0.25 * np.sin(2 * np.pi * frequency * at)).astype(np.float32)


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


def after_each_other(*pieces):
    return np.concatenate(pieces)


def test_onset_is_the_first_sample_above_the_level():
    heard = after_each_other(silence(0.1), sound(0.1))
    found = onset(heard, 0.1)
    assert found is not None
    assert 0 < found - 0.1 * RATE < 0.0003 * RATE


def test_silence_has_no_onset_and_no_gap():
    assert onset(silence(1), 0.1) is None
    assert holes(silence(1), RATE) is None
    assert seconds_of_sound(silence(1), RATE) == 0


def test_tone_has_no_gaps():
    heard = after_each_other(silence(0.2), sound(1.0), silence(0.2))
    assert holes(heard, RATE) == Silence(0, 0.0)
    assert seconds_of_sound(heard, RATE) == pytest.approx(1.0, abs=0.001)


def test_gaps_are_measured():
    heard = after_each_other(sound(0.3), silence(0.1), sound(0.3), silence(0.02), sound(0.3))
    found = holes(heard, RATE)
    assert found is not None
    assert found.holes == 2
    assert found.seconds == pytest.approx(0.12, abs=0.001)
    assert seconds_of_sound(heard, RATE) == pytest.approx(0.9, abs=0.001)


def test_gap_of_2_ms_is_ignored():
    heard = after_each_other(sound(0.3), silence(0.002), sound(0.3))
    assert holes(heard, RATE) == Silence(0, 0.0)


def test_tones_are_distinguished():
    assert tone_amplitude(sound(0.1, 400), 400, RATE).mean() == pytest.approx(0.25, abs=0.01)
    assert tone_amplitude(sound(0.1, 400), 800, RATE).max() < 0.01


def test_change_of_tone_is_located():
    heard = after_each_other(sound(0.5, 400), silence(0.04), sound(0.5, 800))
    found = find_interruption(heard, 400, 800, RATE)
    assert found is not None
    assert found.old_ends == pytest.approx(0.5 * RATE, abs=0.005 * RATE)
    assert found.new_begins == pytest.approx(0.54 * RATE, abs=0.005 * RATE)


def test_unchanged_tone_has_no_interruption():
    assert find_interruption(sound(0.5, 400), 400, 800, RATE) is None
    assert find_interruption(silence(0.001), 400, 800, RATE) is None


def test_interruption_of_silence_needs_no_stop():
    found = find_interruption(after_each_other(silence(0.1), sound(0.2, 800)), 400, 800, RATE)
    assert found is not None
    assert found.old_ends is None
