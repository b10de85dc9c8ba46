"""When somebody else begins for a critical part, and how often a request may be made twice."""

from edgevoice.synthesis.cues import GRACE, NO_CUES, cues_for, is_given
from edgevoice.synthesis.hedging import MOST, Budget


def test_the_local_voice_is_ready_before_the_deadline_and_sounds_at_it():
    cues = cues_for(100.0, 100.0, 1.5, understudy=True)
    assert 100 < (cues.ready or 0) < 101.5
    assert (cues.sound, cues.over) == (101.5, 101.5 + GRACE)


def test_while_there_is_audio_to_be_heard_nothing_is_late():
    cues = cues_for(100.0, 107.0, 1.5, understudy=True)
    assert cues.sound == 108.5
    assert 107 < (cues.ready or 0) < 108.5


def test_with_no_local_voice_the_deadline_is_the_end():
    cues = cues_for(100.0, 90.0, 1.5, understudy=False)
    assert (cues.ready, cues.sound, cues.over) == (None, None, 101.5)


def test_the_next_cue_is_the_first_that_is_still_to_come():
    cues = cues_for(0.0, 0.0, 2.0, understudy=True)
    assert [cues.next(now) for now in (0.0, 1.0, 2.0, 2.0 + GRACE)] == [1.0, 2.0, 2.0 + GRACE, None]
    assert NO_CUES.next(0.0) is None


def test_a_cue_is_given_from_its_moment_on():
    assert [is_given(cue, 5.0) for cue in (None, 4.0, 5.0, 6.0)] == [False, True, True, False]


def test_a_tenth_more_requests_may_be_made():
    budget, further = Budget(), 0
    for _ in range(1000):
        budget.earn()
        if budget.allows:
            budget.spend()
            further += 1
    assert further == 100


def test_what_was_not_needed_is_saved_up_only_for_a_while():
    budget, further = Budget(), 0
    for _ in range(1000):
        budget.earn()
    while budget.allows:
        budget.spend()
        further += 1
    assert further == MOST
