"""The digest: what it reads, how much at once, and what it did not come to read, as the contract states it."""

import pytest

from edgevoice.text.live import LiveText
from tests.support.scheduler import Kitchen


def at_night(**policy):
    """Do not disturb is as good as the night here: all but critical is held."""
    kitchen = Kitchen(**policy)
    kitchen.switch(dnd=True)
    return kitchen


# The digest


def test_the_digest_reads_at_most_ten_and_says_how_many_more_there_are():
    kitchen = at_night()
    for number in range(13):
        kitchen.say(f"n{number}", text=f"Text {number}.")
    text = kitchen.digest()
    assert text.startswith("10 announcements were held.")
    assert [f"Text {number}." in text for number in range(13)] == [True] * 10 + [False] * 3
    assert text.endswith("3 more are waiting.")
    kitchen.order()
    assert kitchen.ended("n9") == ("finished", "digest")
    assert kitchen.held == ["n10", "n11", "n12"]


def test_or_a_minute_whichever_is_less():
    kitchen = at_night()
    for number in range(4):
        kitchen.say(f"n{number}", text=f"{number} " + "x" * 300)
    assert kitchen.digest().startswith("2 announcements")
    kitchen.stop("all")
    kitchen.cut()
    kitchen.say("long", text="y" * 8000)
    assert "y" * 8000 in kitchen.digest()


def test_the_same_tags_are_merged_to_the_newest():
    kitchen = at_night()
    kitchen.say("a", "normal", tag="door", text="Open.")
    kitchen.say("b", text="Other.")
    kitchen.say("c", "low", tag="door", text="Shut.")
    assert kitchen.held == ["a", "b", "c"]
    text = kitchen.digest()
    assert ("Open." in text, "Shut." in text, "Other." in text) == (False, True, True)
    assert text.startswith("2 announcements")
    kitchen.order()
    assert {kitchen.ended(name) for name in "abc"} == {("finished", "digest")}


@pytest.mark.parametrize("private", [True, False])
def test_digest_with_a_private_item_is_private(private):
    kitchen = at_night()
    kitchen.say("a")
    kitchen.say("b", private=private)
    kitchen.digest()
    assert kitchen.internal[-1].private is private


def test_requested_digest_is_read_in_do_not_disturb():
    kitchen = Kitchen()
    kitchen.switch(dnd=True)
    kitchen.say("a")
    assert kitchen.digest()
    kitchen.order()
    assert kitchen.ended("a") == ("finished", "digest")
    assert kitchen.digest() is None


@pytest.mark.parametrize("how", ["stop", "mute", "fails"])
def test_items_that_a_digest_did_not_read_stay_held(how):
    kitchen = at_night()
    kitchen.say("a")
    kitchen.digest()
    kitchen.take(heard=1)
    if how == "fails":
        kitchen.fail()
    elif how == "mute":
        kitchen.switch(mute=True)
    else:
        kitchen.stop()
    kitchen.cut()
    assert (kitchen.held, kitchen.ended("a")) == (["a"], None)
    assert "a" in kitchen.digest()


def test_live_text_that_is_not_whole_yet_is_not_read():
    kitchen, live = at_night(), LiveText()
    live.add("Half of it")
    kitchen.say("a", text=None, live=live)
    assert kitchen.digest() is None
    live.end()
    assert "Half of it." in kitchen.digest()
