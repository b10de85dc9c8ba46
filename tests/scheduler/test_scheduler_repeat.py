"""Alerts that insist: their rounds, how they grow, and how they end, as the contract states it."""

import pytest

from edgevoice.announcement import RepeatPolicy
from edgevoice.scheduler.policy import RepeatGrowth, next_gap
from tests.support.scheduler import Kitchen

every = Kitchen.every


@pytest.fixture
def kitchen():
    return Kitchen()


def rounds(kitchen, most=200):
    """When each round began, seconds after the first."""
    began = []
    while len(began) < most:
        if kitchen.take(heard=2) is not None:
            began.append(kitchen.now - 2)
            kitchen.finish()
        else:
            moment = kitchen.next_wakeup
            if moment is None:
                break
            kitchen.now = moment
    return [round(moment - began[0]) for moment in began]


def test_times_and_every_count_the_rounds_and_there_is_one_outcome_at_the_end(kitchen):
    kitchen.say("a", "high", repeat=RepeatPolicy(times=4, every_s=10))
    assert rounds(kitchen) == [0, 12, 24, 36]
    assert kitchen.ended("a") == ("finished", "times")
    assert kitchen.steps("a") == ["queued"] + ["started"] * 4 + ["finished"]
    assert [event.progress.round for event in kitchen.emitted if event.type == "started"] == [1, 2, 3, 4]


def test_by_default_three_times_every_30_s(kitchen):
    kitchen.say("a", repeat=RepeatPolicy())
    assert rounds(kitchen) == [0, 32, 64]


def test_until_ack_goes_on_until_it_is_acknowledged(kitchen):
    kitchen.say("a", repeat=RepeatPolicy(until_ack=True, every_s=60))
    assert len(rounds(kitchen, most=20)) == 20
    assert kitchen.ended("a") is None
    assert kitchen.ack()
    assert kitchen.ended("a") == ("finished", "acknowledged")


def test_but_at_most_an_hour(kitchen):
    kitchen.say("a", repeat=RepeatPolicy(until_ack=True, every_s=600))
    assert rounds(kitchen)[-1] <= 3600
    assert kitchen.ended("a") == ("finished", "times")


def test_between_rounds_the_speaker_is_free(kitchen):
    kitchen.say("a", "high", repeat=every(30))
    kitchen.take(heard=2)
    kitchen.finish()
    kitchen.say("b", "low")
    assert kitchen.take(heard=2) == "b"
    kitchen.finish()
    assert kitchen.take() is None
    kitchen.wait(30)
    assert kitchen.take() == "a"


def test_a_round_that_is_due_interrupts_as_the_first_one_did(kitchen):
    kitchen.say("a", "critical", repeat=every(30))
    kitchen.take(heard=2)
    kitchen.finish()
    kitchen.say("b")
    kitchen.take(heard=2)
    kitchen.wait(30)
    assert kitchen.cut()
    assert kitchen.take() == "a"


def test_ttl_counts_for_the_first_round_only(kitchen):
    kitchen.say("a", ttl=5, repeat=every(3600))
    kitchen.take(heard=2)
    kitchen.finish()
    kitchen.wait(3599)
    assert kitchen.ended("a") is None
    kitchen.wait(1)
    assert kitchen.take() == "a"


def test_ack_ends_every_one_that_insists_wherever_it_is_and_nothing_else(kitchen):
    kitchen.say("rest", "high", repeat=every(30))
    kitchen.take(heard=1)
    kitchen.finish()
    kitchen.switch(dnd=True)
    kitchen.say("held", repeat=every(30))
    kitchen.say("said", "critical", repeat=every(30))
    kitchen.take(heard=1)
    kitchen.say("waits", "critical", repeat=every(30))
    kitchen.say("plain", "critical")
    assert kitchen.ack()
    assert kitchen.cut()
    ended = [kitchen.ended(name) for name in ("rest", "held", "said", "waits", "plain")]
    assert ended == [("finished", "acknowledged")] * 4 + [None]
    assert not kitchen.ack()


def test_ack_takes_an_id(kitchen):
    kitchen.say("a", repeat=every(30))
    kitchen.say("b", repeat=every(30))
    assert kitchen.ack("a")
    assert (kitchen.ended("a"), kitchen.ended("b")) == (("finished", "acknowledged"), None)
    assert not kitchen.ack("unknown")


def test_an_ack_in_the_middle_of_a_round_is_the_outcome_even_if_the_round_just_ended(kitchen):
    kitchen.say("a", repeat=every(30))
    kitchen.take(heard=1)
    kitchen.ack()
    kitchen.finish()
    assert kitchen.ended("a") == ("finished", "acknowledged")


@pytest.mark.parametrize("while_", ["between rounds", "being said", "waiting"])
def test_a_newer_one_of_its_tag_takes_its_place_or_resolves_it(kitchen, while_):
    for resolves, outcome in ((False, ("replaced", "by new")), (True, ("finished", "resolved"))):
        kitchen = Kitchen()
        kitchen.say("a", "high", tag="leak", repeat=every(30))
        if while_ != "waiting":
            kitchen.take(heard=1)
        if while_ == "between rounds":
            kitchen.finish()
        kitchen.say("new", "normal" if resolves else "high", tag="leak", resolves=resolves)
        if while_ == "being said":
            assert not kitchen.cut()
            kitchen.finish()
        assert kitchen.ended("a") == outcome
        assert kitchen.order() == ["new"]


@pytest.mark.parametrize("times", [2, 3])
def test_after_so_many_rounds_it_goes_on_to_further_targets_once(kitchen, times):
    kitchen.say("a", repeat=RepeatPolicy(times=times, every_s=5, escalate_after=2, escalate_to=("attic",)))
    kitchen.take(heard=1)
    kitchen.finish()
    assert kitchen.escalated == []
    rounds(kitchen)
    assert [announcement.id for announcement in kitchen.escalated] == ["a"]


def test_an_interrupted_round_goes_on_and_counts_once(kitchen):
    kitchen.say("a", "high", repeat=RepeatPolicy(times=2, every_s=10))
    kitchen.take(heard=1)
    kitchen.say("alarm", "critical")
    kitchen.cut()
    assert kitchen.order() == ["alarm", "a"]
    kitchen.wait(10)
    assert kitchen.order() == ["a"]
    assert kitchen.ended("a") == ("finished", "times")


def test_spoken_s_is_how_far_it_was_heard_in_the_round_that_came_farthest(kitchen):
    kitchen.say("a", repeat=every(30))
    kitchen.take(heard=4)
    kitchen.finish()
    kitchen.ack()
    assert kitchen.emitted[-1].progress.spoken_s == 4.0


def test_the_gap_shrinks_by_configuration_but_not_below_5_s():
    growth = RepeatGrowth(gap=0.5)
    gaps = [next_gap(RepeatPolicy(times=100, every_s=60), number, 0, growth) for number in range(1, 7)]
    assert gaps == [60, 30, 15, 7.5, 5, 5]


def test_the_volume_rises_by_configuration_up_to_the_nights_ceiling():
    kitchen = Kitchen(volume=40, growth=RepeatGrowth(volume=20))
    kitchen.say("a", repeat=RepeatPolicy(times=5, every_s=5))
    rounds(kitchen)
    volumes = [event.volume for event in kitchen.emitted if event.type == "started"]
    assert volumes == [40, 60, 80, 100, 100]
