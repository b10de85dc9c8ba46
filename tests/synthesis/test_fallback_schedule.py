"""When the standby helps a critical segment, and how often a request may be hedged."""

from edgevoice.synthesis.context import HedgeBudget, Timeouts
from edgevoice.synthesis.deadlines import NO_SCHEDULE, compute_schedule, is_due

TIMEOUTS = Timeouts()
GRACE_S = TIMEOUTS.standby_grace_s


def test_the_local_voice_is_ready_before_the_deadline_and_sounds_at_it():
    cues = compute_schedule(100.0, 100.0, 1.5, TIMEOUTS, has_standby=True)
    assert 100 < (cues.start_local or 0) < 101.5
    assert (cues.unmute_local, cues.give_up) == (101.5, 101.5 + GRACE_S)


def test_while_there_is_audio_to_be_heard_nothing_is_late():
    cues = compute_schedule(100.0, 107.0, 1.5, TIMEOUTS, has_standby=True)
    assert cues.unmute_local == 108.5
    assert 107 < (cues.start_local or 0) < 108.5


def test_with_no_local_voice_the_deadline_is_the_end():
    cues = compute_schedule(100.0, 90.0, 1.5, TIMEOUTS, has_standby=False)
    assert (cues.start_local, cues.unmute_local, cues.give_up) == (None, None, 101.5)


def test_the_next_cue_is_the_first_that_is_still_to_come():
    cues = compute_schedule(0.0, 0.0, 2.0, TIMEOUTS, has_standby=True)
    assert [cues.next(now) for now in (0.0, 1.0, 2.0, 2.0 + GRACE_S)] == [1.0, 2.0, 2.0 + GRACE_S, None]
    assert NO_SCHEDULE.next(0.0) is None


def test_a_cue_is_given_from_its_moment_on():
    assert [is_due(cue, 5.0) for cue in (None, 4.0, 5.0, 6.0)] == [False, True, True, False]


def test_a_tenth_more_requests_may_be_made():
    budget, further = HedgeBudget(), 0
    for _ in range(1000):
        budget.earn()
        if budget.allows:
            budget.spend()
            further += 1
    assert further == 100


def test_what_was_not_needed_is_saved_up_only_for_a_while():
    budget, further = HedgeBudget(), 0
    for _ in range(1000):
        budget.earn()
    while budget.allows:
        budget.spend()
        further += 1
    assert further == HedgeBudget.MAX
