"""The order of the contract on one speaker: who goes first, who interrupts whom, who goes on, who goes stale."""

import pytest

from edgevoice.scheduler import actions as act
from edgevoice.text.live import LiveText
from tests.support.scheduler import Kitchen


@pytest.fixture
def kitchen():
    return Kitchen()


# Urgency, "order"


def test_critical_before_everything_high_before_normal_and_low_after_the_rest(kitchen):
    for number, urgency in enumerate(["low", "normal", "high", "critical"] * 2):
        kitchen.say(f"{urgency}{number}", urgency)
    assert kitchen.order() == [
        "critical3",
        "critical7",
        "high2",
        "high6",
        "normal1",
        "normal5",
        "low0",
        "low4",
    ]


# Urgency, "against what is being said"


@pytest.mark.parametrize("current", ["low", "normal", "high", "critical"])
@pytest.mark.parametrize("new", ["low", "normal"])
def test_low_and_normal_wait(kitchen, new, current):
    kitchen.say("old", current)
    kitchen.take(heard=60)
    kitchen.say("new", new)
    kitchen.hear(60)
    assert (kitchen.cut(), kitchen.pausing) == (False, False)


@pytest.mark.parametrize(
    ("current", "pausing"), [("low", True), ("normal", True), ("high", False), ("critical", False)]
)
def test_high_interrupts_low_and_normal_at_the_next_pause(kitchen, current, pausing):
    kitchen.say("old", current)
    kitchen.take(heard=3)
    kitchen.say("new", "high")
    assert (kitchen.cut(), kitchen.pausing) == (False, pausing)
    kitchen.pause()
    assert kitchen.cut() is pausing


@pytest.mark.parametrize("current", ["low", "normal", "high"])
def test_critical_interrupts_everything_less_at_once(kitchen, current):
    kitchen.say("old", current)
    kitchen.take(heard=3)
    kitchen.say("alarm", "critical")
    assert kitchen.cut()
    assert kitchen.order() == ["alarm", "old"]
    assert kitchen.steps("old") == ["queued", "started", "interrupted", "resumed", "finished"]


def test_silent_item_is_interrupted_without_a_pause(kitchen):
    kitchen.say("old")
    kitchen.take(heard=None)
    kitchen.say("new", "high")
    assert kitchen.cut()
    assert kitchen.order() == ["new", "old"]
    assert kitchen.steps("old") == ["queued", "started", "finished"]


def test_the_pause_is_waited_for_no_longer_once_the_high_one_is_gone(kitchen):
    kitchen.say("old")
    kitchen.take(heard=3)
    kitchen.say("new", "high")
    kitchen.stop("new")
    assert not kitchen.pausing
    kitchen.pause()
    assert not kitchen.cut()


def test_item_interrupts_when_it_becomes_due(kitchen):
    kitchen.say("alarm", "critical", not_before=30)
    kitchen.say("old")
    kitchen.take(heard=3)
    assert kitchen.next_wakeup == kitchen.now - 3 + 30
    kitchen.wait(27)
    assert kitchen.cut()
    assert kitchen.take() == "alarm"


def test_item_heard_to_its_end_before_the_cut_has_finished(kitchen):
    kitchen.say("old")
    kitchen.take(heard=3)
    kitchen.say("alarm", "critical")
    kitchen.finish()
    assert kitchen.ended("old") == ("finished", None)


# After an interruption


def test_within_one_urgency_the_interrupted_go_before_the_waiting_the_last_interrupted_first(kitchen):
    kitchen.say("a", "critical", topic="a")
    kitchen.take(heard=6)
    for name in "bcd":
        kitchen.say(name, "critical", topic=name)
        if name != "d":
            assert kitchen.cut()
            kitchen.take(heard=6)
    assert kitchen.cut()
    kitchen.say("e", "critical", topic="e")
    assert kitchen.order() == ["d", "c", "b", "a", "e"]


def test_at_most_four_are_kept_a_further_one_is_cancelled_for_overflow(kitchen):
    kitchen.say("n0", "critical", topic="n0")
    for number in range(1, 7):
        kitchen.take(heard=6)
        kitchen.say(f"n{number}", "critical", topic=f"n{number}")
        assert kitchen.cut()
    assert [kitchen.ended(f"n{number}") for number in range(7)] == [
        None, None, None, None, ("cancelled", "overflow"), ("cancelled", "overflow"), None,
    ]  # fmt: skip
    assert kitchen.order() == ["n6", "n3", "n2", "n1", "n0"]


@pytest.mark.parametrize("switch", ["mute", "dnd"])
@pytest.mark.parametrize("urgency", ["low", "normal", "high"])
def test_do_not_disturb_or_mute_switched_on_while_speaking_interrupts_and_holds(kitchen, switch, urgency):
    kitchen.say("old", urgency)
    kitchen.take(heard=3)
    kitchen.switch(**{switch: True})
    assert kitchen.cut()
    assert (kitchen.steps("old"), kitchen.held) == (["queued", "started", "interrupted", "held"], ["old"])


@pytest.mark.parametrize("switch", ["mute", "dnd"])
def test_critical_goes_on_when_do_not_disturb_or_mute_is_switched_on(kitchen, switch):
    kitchen.say("alarm", "critical")
    kitchen.take(heard=3)
    kitchen.switch(**{switch: True})
    assert not kitchen.cut()


def test_item_cut_before_its_sound_keeps_place_and_deadline(kitchen):
    kitchen.say("old", "high", ttl=60)
    kitchen.take(heard=3)
    kitchen.say("one", "critical")
    assert kitchen.cut()
    assert kitchen.take(heard=20) == "one"
    kitchen.finish()
    assert kitchen.take(heard=None) == "old"
    kitchen.say("two", "critical")
    assert kitchen.cut()
    assert kitchen.steps("old") == ["queued", "started", "interrupted"]
    kitchen.wait(40)
    assert kitchen.ended("old") == ("expired", "ttl")


# Critical against critical


@pytest.mark.parametrize(("heard", "interrupts"), [(4.9, False), (5.0, True)])
@pytest.mark.parametrize("other", [{"topic": "other"}, {"tag": "other"}])
def test_another_topic_or_tag_may_interrupt_once_the_older_was_heard_for_5_s(
    kitchen, other, heard, interrupts
):
    kitchen.say("old", "critical", topic="t", tag="tag")
    kitchen.take()
    kitchen.say("new", "critical", **{"topic": "t", "tag": "tag2", **other})
    kitchen.hear(heard)
    assert kitchen.cut() is interrupts
    if interrupts:
        assert kitchen.order() == ["new", "old"]


def test_the_same_topic_with_another_text_waits(kitchen):
    kitchen.say("old", "critical", topic="t")
    kitchen.take(heard=60)
    kitchen.say("new", "critical", topic="t")
    assert not kitchen.cut()


def test_the_older_does_not_take_the_floor_back(kitchen):
    kitchen.say("old", "critical", topic="a")
    kitchen.take(heard=6)
    kitchen.say("new", "critical", topic="b")
    assert kitchen.cut()
    assert kitchen.take(heard=60) == "new"
    assert not kitchen.cut()


def test_the_same_text_joins_it(kitchen):
    kitchen.say("old", "critical", text="Fire.", tag="a")
    kitchen.take(heard=20)
    assert kitchen.admission("new", "critical", text="Fire.", topic="other") == "COALESCED"
    kitchen.say("new", "critical", text="Fire.", topic="other")
    assert kitchen.ended("new") == ("replaced", "the same is being said")
    assert not kitchen.cut()


def test_the_same_tag_with_another_text_is_said_next(kitchen):
    kitchen.say("older", "critical", topic="a")
    kitchen.take(heard=6)
    kitchen.say("old", "critical", tag="leak", topic="b")
    assert kitchen.cut()
    kitchen.take(heard=20)
    kitchen.say("waits", "critical", topic="b", tag="leak2")
    assert kitchen.cut()
    assert kitchen.take(heard=1) == "waits"
    kitchen.say("update", "critical", tag="leak2", topic="other")
    kitchen.hear(20)
    assert (kitchen.ended("update"), kitchen.cut()) == (None, False)
    kitchen.finish()
    assert kitchen.ended("waits") == ("finished", None)
    assert kitchen.order() == ["update", "old", "older"]


def test_of_several_updates_only_the_newest_is_said(kitchen):
    kitchen.say("old", "critical", tag="leak")
    kitchen.take(heard=1)
    kitchen.say("one", "critical", tag="leak")
    kitchen.say("two", "critical", tag="leak")
    assert kitchen.ended("one") == ("replaced", "by two")
    kitchen.finish()
    assert kitchen.order() == ["two"]


def test_a_chattering_sensor_is_understood_at_its_first_round(kitchen):
    kitchen.say("n0", "critical", text="Fire.")
    kitchen.take()
    for number in range(1, 120):
        kitchen.hear(0.05)
        kitchen.say(f"n{number}", "critical", text="Fire.")
        assert not kitchen.cut()
    kitchen.finish()
    assert kitchen.ended("n0") == ("finished", None)
    assert {kitchen.ended(f"n{number}") for number in range(1, 120)} == {
        ("replaced", "the same is being said")
    }


# Live text that falls silent


@pytest.fixture
def live(kitchen):
    kitchen.say("live", text=None, live=LiveText())
    kitchen.take(heard=1)
    return kitchen


def test_live_text_that_falls_silent_lets_others_play(live):
    live.report(act.Starved)
    assert not live.parking
    live.say("other")
    assert live.parking
    live.finish()
    assert live.steps("live") == ["queued", "started", "interrupted"]
    assert live.take() == "other"
    live.text_arrives(live.watched[0])
    live.finish()
    assert live.order() == ["live"]
    assert live.plays[-1].resume_not_before_s is None


def test_parked_item_waits_for_more_text(live):
    live.say("other")
    live.report(act.Starved)
    live.finish()
    assert live.order() == ["other"]
    live.text_arrives(live.watched[0])
    assert live.order() == ["live"]


def test_live_text_that_continues_in_time_keeps_playing(live):
    live.report(act.Starved)
    live.report(act.Refilled)
    live.say("other")
    assert not live.parking
