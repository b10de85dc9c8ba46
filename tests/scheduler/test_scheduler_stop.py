"""The effect of stop on one speaker, as the contract says."""

import pytest

from tests.support.scheduler import Kitchen


@pytest.fixture
def kitchen():
    return Kitchen()


# stop


def test_stop_ends_what_is_being_said_and_all_it_interrupted_but_not_the_queue(kitchen):
    kitchen.say("low", "low")
    kitchen.take(heard=2)
    kitchen.say("high", "high")
    kitchen.pause()
    kitchen.cut()
    kitchen.take(heard=2)
    kitchen.say("alarm", "critical")
    kitchen.cut()
    kitchen.take(heard=2)
    kitchen.say("waits")
    kitchen.stop()
    assert kitchen.cut()
    assert [kitchen.ended(name) for name in ("alarm", "high", "low")] == [("cancelled", "stop")] * 3
    assert kitchen.order() == ["waits"]


def test_stop_leaves_what_another_interrupted_and_alerts_that_wait_for_their_next_round(kitchen):
    kitchen.say("insists", "high", repeat=kitchen.every(30))
    kitchen.take(heard=1)
    kitchen.finish()
    kitchen.say("long")
    kitchen.take(heard=2)
    kitchen.say("alarm", "critical")
    kitchen.cut()
    kitchen.take(heard=2)
    kitchen.finish()
    kitchen.say("other", "high")
    kitchen.take(heard=2)
    kitchen.stop()
    kitchen.cut()
    assert kitchen.ended("other") == ("cancelled", "stop")
    assert kitchen.queue == ["insists", "long"]


def test_stop_ends_the_repeats_of_what_is_being_said_and_of_what_it_interrupted(kitchen):
    kitchen.say("insists", "high", repeat=kitchen.every(30))
    kitchen.take(heard=1)
    kitchen.say("alarm", "critical", repeat=kitchen.every(30))
    kitchen.cut()
    kitchen.take(heard=1)
    kitchen.stop()
    kitchen.cut()
    kitchen.wait(100)
    assert kitchen.order() == []
    assert kitchen.ended("insists") == kitchen.ended("alarm") == ("cancelled", "stop")


def test_stop_with_nothing_to_stop_is_nothing(kitchen):
    kitchen.say("waits")
    kitchen.stop()
    kitchen.stop("unknown")
    assert kitchen.queue == ["waits"]


def test_a_stop_that_comes_while_something_is_being_interrupted_stops_it(kitchen):
    kitchen.say("old")
    kitchen.take(heard=2)
    kitchen.say("alarm", "critical")
    kitchen.stop("old")
    kitchen.cut()
    assert kitchen.ended("old") == ("cancelled", "stop")
    assert kitchen.order() == ["alarm"]


def test_stop_all_ends_the_queue_and_the_held_too_and_what_a_digest_reads(kitchen):
    kitchen.switch(dnd=True)
    kitchen.say("held")
    kitchen.digest()
    kitchen.take(heard=1)
    kitchen.say("waits", "critical", not_before=9)
    kitchen.stop("all")
    kitchen.cut()
    assert kitchen.ended("held") == kitchen.ended("waits") == ("cancelled", "stop")
    assert (kitchen.held, kitchen.queue, kitchen.order()) == ([], [], [])


def test_stop_takes_an_id_else_a_tag(kitchen):
    kitchen.say("door")
    kitchen.say("a", tag="door")
    kitchen.say("b", tag="window")
    kitchen.say("c", "high", tag="window")
    kitchen.stop("door")
    kitchen.stop("window")
    assert kitchen.order() == ["a"]
