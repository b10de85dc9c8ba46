"""The prefetch of a speaker: no more than is needed, with its deadline."""

from edgevoice.scheduler.scheduler import PREFETCH_S
from tests.support.scheduler import Kitchen


def asked(kitchen):
    """Return the synthesis requests since the last call: id and priority."""
    found = [(name, priority) for name, priority, _ in kitchen.prefetched]
    kitchen.prefetched.clear()
    return found


def test_only_the_next_one_until_its_clip_is_complete():
    kitchen = Kitchen()
    for name in ("a", "b", "c"):
        kitchen.say(name)
    assert asked(kitchen) == [("a", "NEEDED_NOW")]  # nothing plays yet
    kitchen.take()
    assert asked(kitchen) == [("b", "PREFETCH")]
    kitchen.synthesized("b", 1.0)
    assert asked(kitchen) == [("c", "PREFETCH")]


def test_no_more_than_some_seconds_of_sound():
    kitchen = Kitchen()
    names = [f"n{number}" for number in range(9)]
    for name in names:
        kitchen.say(name)
    kitchen.take()
    for name in names[1:]:
        kitchen.synthesized(name, 1.0)
    wanted = [name for name, _ in asked(kitchen)][1:]
    assert wanted == names[1 : 1 + int(PREFETCH_S)]


def test_items_not_due_or_held_are_not_prefetched():
    kitchen = Kitchen()
    kitchen.say("now", ttl=900)
    kitchen.take(heard=1.0)
    asked(kitchen)
    kitchen.say("later", not_before=60)
    assert asked(kitchen) == []
    kitchen.wait(61)
    assert asked(kitchen) == [("later", "PREFETCH")]
    kitchen.switch(mute=True)
    assert asked(kitchen) == [("later", "CANCEL")]
    kitchen.say("muted")
    assert asked(kitchen) == []


def test_released_item_is_prefetched_again():
    kitchen = Kitchen(digest="off")
    kitchen.say("a")
    kitchen.take()
    kitchen.say("b")
    kitchen.switch(mute=True)
    kitchen.cut()
    asked(kitchen)
    kitchen.switch(mute=False)
    assert asked(kitchen) == [("a", "NEEDED_NOW")]


def test_preempting_item_is_needed_now():
    kitchen = Kitchen()
    kitchen.say("long")
    kitchen.say("next")
    kitchen.take(heard=1.0)
    asked(kitchen)
    kitchen.say("high", "high")
    assert asked(kitchen) == [("high", "NEEDED_NOW")]
    kitchen.say("critical", "critical")
    assert asked(kitchen) == [("critical", "NEEDED_NOW")]


def test_prefetch_tells_when_each_item_is_needed():
    kitchen = Kitchen()
    kitchen.say("a")
    kitchen.clips["a"] = 1.0
    kitchen.take(heard=0.25)
    kitchen.say("b")
    kitchen.say("c")
    kitchen.synthesized("b", 1.0)
    assert kitchen.prefetched[-2:] == [("b", "PREFETCH", 0.75), ("c", "PREFETCH", 1.75)]


def test_prefetch_is_requested_once():
    kitchen = Kitchen()
    kitchen.say("a")
    kitchen.take()
    kitchen.say("b")
    asked(kitchen)
    kitchen.hear(1)
    kitchen.wait(1)
    assert asked(kitchen) == []
