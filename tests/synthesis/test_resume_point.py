"""Where a text goes on after its speech broke off: never behind a word that is still to be spoken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.gain import FADE_S, fade_tail
from edgevoice.plugin import WordMark
from edgevoice.synthesis.pace import MOST, UNKNOWN, Pace, Paces, letters
from edgevoice.synthesis.unspoken import after_pauses, offset_from_word_marks
from edgevoice.text.sentences import sentence_ends

TEXT = "The door is open. Somebody rang, and nobody was at home. Please come."
STEADY = Pace(8.0, 20.0)
"""Around 12 letters a second."""


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
def test_it_goes_on_at_the_first_word_that_was_not_spoken_to_its_end(seconds, left):
    offset = offset_from_word_marks(TEXT, marks_of(TEXT), seconds)
    assert rest(TEXT, offset).startswith(left)
    assert left or offset == len(TEXT)


def test_a_word_that_nobody_timed_counts_as_unspoken():
    marks = [mark for mark in marks_of(TEXT) if mark.word != "door"]
    assert rest(TEXT, offset_from_word_marks(TEXT, marks, 99)).startswith("door is open")


def test_a_word_that_is_not_in_the_text_ends_what_is_known():
    marks = [WordMark("The", 0, 0.2), WordMark("gate", 0.2, 0.5), WordMark("is", 0.5, 0.6)]
    assert rest(TEXT, offset_from_word_marks(TEXT, marks, 99)).startswith("door is open")


# ---- by its pauses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pauses", "seconds", "left"),
    [
        ([], 1.0, "The door"),
        ([], 1.5, "The door"),
        ([1.6], 1.8, "Somebody"),
        ([1.6, 2.9], 4.0, "Somebody"),
        ([1.6, 2.9, 5.0], 5.2, "Please"),
        ([1.6, 2.9, 5.0, 6.1], 9.0, "Please"),  # the last sentence is never taken as spoken
        ([0.3, 1.6], 1.8, "Somebody"),  # nobody reads so fast: that was no sentence
    ],
)
def test_a_sentence_whose_pause_was_heard_has_been_spoken(pauses, seconds, left):
    assert rest(TEXT, after_pauses(TEXT, pauses, seconds, STEADY)).startswith(left)


def test_a_sentence_that_even_the_slowest_would_have_read_needs_no_pause():
    assert rest(TEXT, after_pauses(TEXT, [], 2.5, STEADY)).startswith("Somebody")


def test_the_pause_of_a_clause_is_not_taken_for_that_of_its_sentence():
    text = "Rain, snow and a storm of some strength. Then sun."
    assert after_pauses(text, [0.5], 1.5, STEADY) == 0


def test_a_text_without_an_end_begins_anew():
    assert after_pauses("one two three four", [0.5, 1.0], 1.4, STEADY) == 0


SENTENCES = st.lists(st.integers(6, 60), min_size=1, max_size=8)


@given(SENTENCES, st.floats(9, 16), st.floats(0, 1), st.booleans())
def test_whatever_the_sentences_nothing_unspoken_is_left_out(lengths, pace, part, known):
    text = " ".join("a" * length + "." for length in lengths)
    ends = sentence_ends(text)
    times = [letters(text[:end]) / pace for end in ends]
    cut = part * times[-1]
    bounds = STEADY if known else Pace(*UNKNOWN)
    offset = after_pauses(text, [time for time in times if time <= cut], cut, bounds)
    true = max((end for end, time in zip(ends, times, strict=True) if time <= cut), default=0)
    assert offset <= true
    assert offset in (0, *ends)


# ---- how fast a voice reads --------------------------------------------------------------------------


def test_a_voice_is_known_by_what_it_has_read():
    paces = Paces()
    assert paces.of("magnus") == Pace(*UNKNOWN)
    paces.learn("magnus", "a" * 5, 1.0)
    assert paces.of("magnus") == Pace(*UNKNOWN), "too little"
    for _ in range(5):
        paces.learn("magnus", "a" * 60, 5.0)
    pace = paces.of("magnus")
    assert pace.slowest < 12 < pace.fastest
    assert pace.fastest < UNKNOWN[1]
    assert paces.of("olivia") == Pace(*UNKNOWN)


def test_a_voice_that_is_told_to_read_faster_does():
    paces = Paces()
    paces.learn("magnus", "a" * 60, 2.5, speed=2.0)
    assert paces.of("magnus", 2.0).slowest == pytest.approx(2 * paces.of("magnus").slowest)
    assert paces.of("olivia", 2.0).slowest == 2 * UNKNOWN[0]


def test_it_does_not_remember_more_voices_than_any_house_has():
    paces = Paces()
    for number in range(MOST + 1):
        paces.learn(number, "a" * 60, 5.0)
    assert paces.of(0) == Pace(*UNKNOWN)
    assert paces.of(MOST) != Pace(*UNKNOWN)


def test_digits_and_characters_of_other_scripts_take_longer_to_read():
    assert letters("12") > letters("ab")
    assert letters("火災") > letters("ab")


# ---- the joint ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-32768, -1, 0, 5, 32767])
@pytest.mark.parametrize("rate", [8000, 24000, 44100])
def test_a_broken_end_comes_to_rest_without_a_jump(value, rate):
    last = np.array([value], "<i2").tobytes()
    samples = np.frombuffer(last + fade_tail(last, rate), "<i2").astype(int)
    assert np.abs(np.diff(samples)).max() <= abs(value) * 2 / (rate * FADE_S) + 1
    assert not samples[1 + round(rate * FADE_S) :].any()
    assert len(samples) > rate * 0.08
