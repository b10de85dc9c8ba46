"""Tags, duplicates and stops on one speaker, as the contract states them."""

import pytest

from edgevoice.scheduler.scheduler import FinishedIds
from edgevoice.storage.schema import MAX_FINISHED
from tests.support.scheduler import Kitchen

DAY = 86_400


@pytest.fixture
def kitchen():
    return Kitchen()


# tag


@pytest.mark.parametrize(("new", "takes"), [("low", False), ("normal", True), ("high", True)])
def test_the_newer_takes_the_olders_place_if_it_is_not_less_urgent(kitchen, new, takes):
    kitchen.say("before", new)
    kitchen.say("old", "normal", tag="door")
    kitchen.say("after", new)
    kitchen.say("new", new, tag="door")
    assert kitchen.ended("old") == (("replaced", "by new") if takes else None)
    assert kitchen.ended("new") is None


def test_the_place_is_that_of_the_older(kitchen):
    for name, tag in [("a", None), ("old", "door"), ("b", None), ("new", "door")]:
        kitchen.say(name, tag=tag)
    assert kitchen.order() == ["a", "new", "b"]


def test_another_tag_or_none_takes_no_place(kitchen):
    for name, tag in [("a", "x"), ("b", "y"), ("c", None), ("d", None)]:
        kitchen.say(name, tag=tag)
    assert kitchen.order() == ["a", "b", "c", "d"]


def test_also_among_the_held(kitchen):
    kitchen.switch(dnd=True)
    for name, tag in [("a", None), ("old", "door"), ("b", None), ("new", "door")]:
        kitchen.say(name, tag=tag)
    assert kitchen.held == ["a", "new", "b"]
    assert kitchen.ended("old") == ("replaced", "by new")


def test_also_the_one_that_was_interrupted(kitchen):
    kitchen.say("old", tag="door")
    kitchen.take(heard=3)
    kitchen.say("alarm", "critical")
    assert kitchen.cut()
    kitchen.say("waits")
    kitchen.say("new", tag="door")
    assert kitchen.ended("old") == ("replaced", "by new")
    assert kitchen.order() == ["alarm", "new", "waits"]


def test_playing_item_of_the_same_tag_is_heard_out(kitchen):
    kitchen.say("old", tag="door")
    kitchen.take(heard=3)
    kitchen.say("new", tag="door")
    assert not kitchen.cut()
    kitchen.finish()
    assert kitchen.ended("old") == ("finished", None)
    assert kitchen.order() == ["new"]


def test_item_interrupted_by_its_successor_does_not_resume(kitchen):
    kitchen.say("old", tag="door")
    kitchen.take(heard=3)
    kitchen.say("new", "critical", tag="door")
    assert kitchen.cut()
    assert kitchen.ended("old") == ("replaced", "by new")
    assert kitchen.order() == ["new"]


def test_resolves_lets_a_less_urgent_one_end_it(kitchen):
    kitchen.say("old", "critical", tag="leak")
    kitchen.say("dry", "low", tag="leak", resolves=True)
    assert kitchen.ended("old") == ("replaced", "by dry")
    assert kitchen.order() == ["dry"]


def test_resolving_announcement_does_not_join_the_critical_item(kitchen):
    kitchen.say("old", "critical", tag="leak")
    kitchen.take(heard=6)
    kitchen.say("dry", "critical", tag="leak", resolves=True)
    assert kitchen.ended("dry") is None
    kitchen.finish()
    assert kitchen.order() == ["dry"]


# Duplicates


def test_an_id_that_waits_is_a_duplicate_and_has_no_second_outcome(kitchen):
    kitchen.say("a")
    kitchen.say("a", "high")
    assert kitchen.steps("a") == ["queued", "duplicate"]
    assert kitchen.order() == ["a"]
    assert kitchen.ended("a") == ("finished", None)


def test_an_id_that_is_held_is_a_duplicate_also_while_a_digest_reads_it(kitchen):
    kitchen.switch(dnd=True)
    kitchen.say("a")
    kitchen.say("a")
    kitchen.digest()
    kitchen.take(heard=1)
    kitchen.say("a")
    assert kitchen.steps("a") == ["queued", "held", "duplicate", "duplicate"]


def test_an_id_that_is_being_said_interrupted_or_between_rounds_is_a_duplicate(kitchen):
    kitchen.say("a")
    kitchen.take(heard=1)
    kitchen.say("a")
    kitchen.say("alarm", "critical")
    kitchen.say("a")
    kitchen.cut()
    kitchen.say("a")
    assert kitchen.steps("a") == ["queued", "started", "duplicate", "duplicate", "interrupted", "duplicate"]


def test_an_id_that_finished_within_24_h_is_a_duplicate(kitchen):
    kitchen.say("a")
    kitchen.order()
    kitchen.wait(DAY - 1)
    kitchen.say("a")
    assert kitchen.steps("a")[-1] == "duplicate"
    kitchen.wait(1)
    kitchen.say("a")
    assert kitchen.steps("a")[-1] == "queued"


def test_id_that_did_not_finish_may_come_again(kitchen):
    kitchen.say("a", ttl=1)
    kitchen.wait(1)
    kitchen.say("a")
    kitchen.stop("a")
    kitchen.say("a", "critical")
    kitchen.take(heard=1)
    kitchen.stop()
    kitchen.say("a")  # the one that is being said is about to end
    kitchen.cut()
    assert [step for step in kitchen.steps("a") if step in ("expired", "cancelled")] == [
        "expired", "cancelled", "cancelled",
    ]  # fmt: skip
    assert kitchen.order() == ["a"]
    assert "duplicate" not in kitchen.steps("a")


def test_a_duplicate_is_told_as_one_even_if_there_were_too_many(kitchen):
    kitchen.say("a")
    kitchen.refuse("a")
    kitchen.refuse("b")
    assert (kitchen.steps("a"), kitchen.ended("b")) == (["queued", "duplicate"], ("suppressed", "rate"))


def test_no_more_ids_are_remembered_than_there_is_room_for():
    log = FinishedIds()
    for number in range(MAX_FINISHED + 10):
        log.remember(f"n{number}", 0.0)
    assert len(log.until) == MAX_FINISHED
    assert log.has(f"n{MAX_FINISHED + 9}", 1.0)
    log.remember("late", DAY + 1.0)
    assert len(log.until) == 1
