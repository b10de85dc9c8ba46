"""Where a text goes on after its speech broke off: never behind a word that is still to be spoken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.gain import FADE_S, fade_tail
from edgevoice.plugin import WordMark
from edgevoice.synthesis.segments import (
    SLOWEST_LETTERS_PER_S,
    offset_from_share,
    offset_from_word_marks,
    reading_length,
    unspoken_offset,
)
from edgevoice.text.sentences import sentence_ends

TEXT = "The door is open. Somebody rang, and nobody was at home. Please come."


def rest(text, offset):
    return text[offset:].strip()


def marks_of(text, each=0.5):
    return [WordMark(word.strip(",."), at * each, (at + 1) * each) for at, word in enumerate(text.split())]


# ---- by the times of its words -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        (0.0, "The door"),
        (0.5, "The door"),  # it may still sound
        (0.6, "door is"),
        (1.9, "open. Somebody"),
        (2.1, "Somebody rang"),
        (3.2, "and nobody"),
        (99.0, ""),
    ],
)
def test_unspoken_offset_is_the_first_word_not_spoken_to_its_end(seconds, left):
    offset = offset_from_word_marks(TEXT, marks_of(TEXT), seconds)
    assert rest(TEXT, offset).startswith(left)
    assert left or offset == len(TEXT)


def test_a_word_that_nobody_timed_counts_as_unspoken():
    marks = [mark for mark in marks_of(TEXT) if mark.word != "door"]
    assert rest(TEXT, offset_from_word_marks(TEXT, marks, 99)).startswith("door is open")


def test_a_word_that_is_not_in_the_text_ends_what_is_known():
    marks = [WordMark("The", 0, 0.2), WordMark("gate", 0.2, 0.5), WordMark("is", 0.5, 0.6)]
    assert rest(TEXT, offset_from_word_marks(TEXT, marks, 99)).startswith("door is open")


# ---- by share of the text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "left"), [(0.0, "The door"), (4.6, "The door"), (5.0, "Somebody"), (99.0, "Please")]
)
def test_sentence_that_even_a_slow_voice_had_spoken_is_not_repeated(seconds, left):
    assert rest(TEXT, offset_from_share(TEXT, seconds)).startswith(left)


def test_faster_speech_has_spoken_more():
    assert offset_from_share(TEXT, 3.0) == 0
    assert offset_from_share(TEXT, 3.0, speed=2.0) > 0


def test_text_without_sentence_ends_is_repeated():
    assert offset_from_share("one two three four", 99.0) == 0


def test_word_marks_are_preferred():
    assert rest(TEXT, unspoken_offset(TEXT, 0.6, marks_of(TEXT))).startswith("door is")
    assert unspoken_offset(TEXT, 0.6, []) == 0


@given(
    st.lists(st.integers(6, 60), min_size=1, max_size=8),
    st.floats(SLOWEST_LETTERS_PER_S, 20),
    st.floats(0, 1),
)
def test_no_unspoken_sentence_is_skipped(lengths, letters_per_s, share):
    text = " ".join("a" * length + "." for length in lengths)
    ends = sentence_ends(text)
    times = [reading_length(text[:end]) / letters_per_s for end in ends]
    cut = share * times[-1]
    offset = offset_from_share(text, cut)
    assert offset <= max((end for end, time in zip(ends, times, strict=True) if time <= cut), default=0)
    assert offset in (0, *ends)


def test_digits_and_characters_of_other_scripts_take_longer_to_read():
    assert reading_length("12") > reading_length("ab")
    assert reading_length("火災") > reading_length("ab")


# ---- the joint ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-32768, -1, 0, 5, 32767])
@pytest.mark.parametrize("rate", [8000, 24000, 44100])
def test_a_broken_end_comes_to_rest_without_a_jump(value, rate):
    last = np.array([value], "<i2").tobytes()
    samples = np.frombuffer(last + fade_tail(last, rate), "<i2").astype(int)
    assert np.abs(np.diff(samples)).max() <= abs(value) * 2 / (rate * FADE_S) + 1
    assert not samples[1 + round(rate * FADE_S) :].any()
    assert len(samples) > rate * 0.08
