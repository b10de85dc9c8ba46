"""Held announcements: for how long they are held, and how they are read or dropped, as the contract says."""

from datetime import timedelta

import pytest

from edgevoice.scheduler.policy import QuietWindow
from edgevoice.text.live import LiveText
from tests.support.scheduler import Kitchen

NIGHT = QuietWindow(frozenset(range(7)), 22 * 60, 7 * 60)


def at_night(**policy):
    kitchen = Kitchen(quiet_hours=(NIGHT,), **policy)
    kitchen.wall = kitchen.wall.replace(hour=23)
    kitchen.wait(0)
    return kitchen


def morning(kitchen):
    kitchen.wall += timedelta(hours=9)
    kitchen.wait(0)


# Quiet hours; do not disturb, mute


@pytest.mark.parametrize(
    ("urgency", "quiet", "switched"),
    [("low", True, True), ("normal", True, True), ("high", False, True), ("critical", False, False)],
)
def test_held_urgencies_by_reason(urgency, quiet, switched):
    kitchen = at_night()
    kitchen.say("night", urgency)
    assert (kitchen.held == ["night"]) is quiet
    for switch, reason in (("dnd", "do not disturb"), ("mute", "mute")):
        kitchen = Kitchen()
        kitchen.switch(**{switch: True})
        kitchen.say("a", urgency)
        assert (kitchen.held == ["a"]) is switched
        assert (("a", "held", reason) in kitchen.told) is switched


def test_quiet_start_holds_the_queue_only():
    kitchen = Kitchen(quiet_hours=(NIGHT,))
    kitchen.say("said")
    kitchen.take(heard=1)
    kitchen.say("waits")
    kitchen.wall = kitchen.wall.replace(hour=22)
    kitchen.wait(1)
    assert (kitchen.cut(), kitchen.held) == (False, ["waits"])
    kitchen.say("alarm", "critical")
    kitchen.cut()
    assert kitchen.order() == ["alarm", "said"]


def test_scheduled_announcement_is_held_when_due():
    kitchen = at_night()
    kitchen.say("in the morning", not_before=9 * 3600)
    kitchen.say("at midnight", not_before=3600)
    assert kitchen.held == []
    kitchen.wall += timedelta(hours=1)
    kitchen.wait(3600)
    assert kitchen.held == ["at midnight"]
    kitchen.wall += timedelta(hours=8)
    kitchen.now += 8 * 3600
    assert "in the morning" in kitchen.order()


def test_a_held_one_has_its_ttl_stand_still():
    kitchen = Kitchen(digest="off")
    kitchen.say("a", ttl=100, not_before=10)
    kitchen.wait(40)
    kitchen.switch(dnd=True)
    kitchen.wait(10_000)
    kitchen.switch(dnd=False)
    assert kitchen.queue == ["a"]
    kitchen.wait(69)
    assert kitchen.queue == ["a"]
    kitchen.wait(1)
    assert kitchen.ended("a") == ("expired", "ttl")


def test_digest_keep_counts_instead():
    kitchen = Kitchen(digest_keep=3600)
    kitchen.switch(mute=True)
    kitchen.say("a", ttl=1)
    assert kitchen.next_wakeup == kitchen.now + 3600
    kitchen.wait(3599)
    assert kitchen.held == ["a"]
    kitchen.wait(1)
    assert kitchen.ended("a") == ("expired", "held too long")


def test_too_many_held_give_up_the_least_urgent_oldest_first():
    kitchen = Kitchen(queue=2)
    kitchen.switch(dnd=True)
    for name, urgency in [("h", "high"), ("n1", "normal"), ("n2", "normal"), ("l", "low")]:
        kitchen.say(name, urgency)
    assert kitchen.held == ["h", "n2"]
    assert kitchen.ended("n1") == kitchen.ended("l") == ("suppressed", "overflow")


# The end of the quiet


def test_on_request_one_sentence_says_how_many_wait():
    kitchen = at_night()
    kitchen.say("a")
    kitchen.say("b")
    morning(kitchen)
    assert kitchen.internal[-1].text == "2 announcements are waiting."
    assert len(kitchen.order()) == 1
    assert kitchen.held == ["a", "b"]


def test_at_end_reads_them_all():
    kitchen = at_night(digest="at_end")
    for number in range(25):
        kitchen.say(f"n{number}")
    morning(kitchen)
    assert len(kitchen.order()) == 3
    assert {kitchen.ended(f"n{number}") for number in range(25)} == {("finished", "digest")}


def test_off_lets_them_go_on():
    kitchen = at_night(digest="off")
    for name, urgency in (("a", "low"), ("b", "normal"), ("c", "normal")):
        kitchen.say(name, urgency)
    morning(kitchen)
    assert kitchen.order() == ["b", "c", "a"]


def test_off_lets_one_that_was_interrupted_go_on_where_it_was():
    kitchen = Kitchen(digest="off")
    kitchen.say("a")
    kitchen.take(heard=3)
    kitchen.switch(dnd=True)
    kitchen.cut()
    kitchen.switch(dnd=False)
    assert kitchen.order() == ["a"]
    assert kitchen.steps("a") == ["queued", "started", "interrupted", "held", "resumed", "finished"]


def test_the_quiet_ends_only_when_nothing_holds_any_more():
    kitchen = at_night()
    kitchen.switch(dnd=True)
    kitchen.say("a")
    kitchen.switch(dnd=False)
    assert kitchen.order() == []
    morning(kitchen)
    assert len(kitchen.order()) == 1


def test_digest_without_held_items_says_nothing():
    kitchen = at_night(digest="at_end")
    morning(kitchen)
    assert kitchen.order() == []


def test_do_not_disturb_for_some_minutes_ends_by_itself():
    kitchen = Kitchen(digest="off")
    kitchen.do(kitchen.scheduler.apply_setting("dnd", "5", kitchen.now))
    kitchen.say("a")
    assert kitchen.next_wakeup == kitchen.now + 300
    kitchen.wait(299)
    assert kitchen.held == ["a"]
    kitchen.wait(1)
    assert kitchen.order() == ["a"]


# The daemon ends


@pytest.mark.parametrize(
    ("urgency", "again"), [("low", False), ("normal", False), ("high", True), ("critical", True)]
)
def test_close_keeps_what_waits_or_is_held_and_what_is_urgent_and_cut_off(urgency, again):
    kitchen = Kitchen()
    kitchen.say("said", urgency)
    kitchen.take(heard=1)
    kitchen.say("waits", urgency, not_before=9)
    kitchen.switch(mute=True)
    kitchen.say("held", "normal")
    kitchen.close()
    assert {one.announcement.id for one in kitchen.kept} == {"waits", "held"} | ({"said"} if again else set())
    assert [kitchen.ended(name) for name in ("waits", "held")] == [None] * 2
    assert kitchen.ended("said") == (None if again else ("failed", "restart"))
    assert kitchen.order() == []


def test_close_keeps_unheard_announcements():
    kitchen = Kitchen()
    kitchen.say("silent")
    kitchen.take(heard=None)
    kitchen.close()
    assert [one.announcement.id for one in kitchen.kept] == ["silent"]


def test_close_fails_unstorable_announcements():
    kitchen = at_night()
    kitchen.say("held")
    kitchen.digest()
    kitchen.say("private", private=True)
    live = LiveText()
    kitchen.say("live", "critical", text=None, live=live)
    kitchen.close()
    assert kitchen.ended("private") == kitchen.ended("live") == ("failed", "restart")
    assert kitchen.ended(kitchen.internal[0].id) == ("failed", "restart")
    assert [one.announcement.id for one in kitchen.kept] == ["held"]


def test_playing_item_may_end_after_close():
    kitchen = Kitchen()
    kitchen.say("said")
    kitchen.take(heard=1)
    kitchen.do(kitchen.scheduler.close(kitchen.now))
    kitchen.finish()
    assert kitchen.ended("said") == ("finished", None)
    assert kitchen.kept == []


def test_an_alert_between_its_rounds_is_kept():
    kitchen = Kitchen()
    kitchen.say("leak", "high", repeat=kitchen.every(30))
    kitchen.take(heard=1)
    kitchen.do(kitchen.scheduler.close(kitchen.now))
    kitchen.finish()
    assert [(one.announcement.id, one.due) for one in kitchen.kept] == [("leak", kitchen.now + 30)]
    assert kitchen.ended("leak") is None


def test_the_deadline_to_store_leaves_out_the_time_for_which_it_was_held():
    kitchen = Kitchen()
    kitchen.say("a", ttl=100)
    kitchen.wait(40)
    kitchen.switch(mute=True)
    kitchen.wait(1000)
    kitchen.close()
    assert kitchen.kept[0].expires_at(kitchen.now) == kitchen.now + 60


def restored(kitchen, name, **more):
    kitchen.do(kitchen.scheduler.submit(kitchen.make(name), kitchen.now, **more))


def test_restored_held_item_is_kept_for_digest_keep_in_all():
    kitchen = Kitchen(digest_keep=1000)
    kitchen.switch(mute=True)
    restored(kitchen, "a", deadline=kitchen.now + 50, held_since=kitchen.now - 900)
    assert kitchen.held == ["a"]
    kitchen.wait(99)
    assert kitchen.held == ["a"]
    kitchen.wait(2)
    assert ("a", "expired", None) in [(*told[:2], None) for told in kitchen.told]


def test_restored_held_item_that_no_rule_holds_is_played():
    kitchen = Kitchen()
    restored(kitchen, "a", deadline=kitchen.now - 850, held_since=kitchen.now - 900)
    restored(kitchen, "b", deadline=kitchen.now + 1000)
    assert [item.announcement.id for item in kitchen.scheduler.waiting] == ["a", "b"]
    kitchen.wait(51)
    assert [item.announcement.id for item in kitchen.scheduler.waiting] == ["b"]
