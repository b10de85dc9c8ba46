"""Announcements that are due at a time of day, while the wall clock is set (defect 9.19)."""

from datetime import timedelta

import pytest

from tests.support.scheduler import Kitchen


@pytest.fixture
def kitchen():
    return Kitchen()


def say_in(kitchen, hours, name="alarm", **more):
    due_at = kitchen.wall + timedelta(hours=hours)
    kitchen.say(name, not_before=hours * 3600.0, due_at=due_at, **more)


def pass_time(kitchen, seconds):
    kitchen.wall += timedelta(seconds=seconds)
    kitchen.wait(seconds)


def test_clock_set_forward_brings_the_time_of_day_nearer(kitchen):
    say_in(kitchen, 9, ttl=60)
    kitchen.wall += timedelta(hours=8)
    kitchen.wait(0)
    assert kitchen.next_wakeup == kitchen.now + 3600
    pass_time(kitchen, 3599)
    assert kitchen.take() is None
    pass_time(kitchen, 1)
    assert kitchen.take() == "alarm"


def test_clock_set_back_puts_the_time_of_day_off(kitchen):
    say_in(kitchen, 1, ttl=60)
    kitchen.wall -= timedelta(hours=1)
    pass_time(kitchen, 3600)
    assert kitchen.take() is None
    assert kitchen.steps("alarm") == ["queued"]
    pass_time(kitchen, 3600)
    assert kitchen.take() == "alarm"


def test_time_of_day_that_was_jumped_over_is_due_now(kitchen):
    say_in(kitchen, 1, ttl=60)
    kitchen.wall += timedelta(hours=5)
    kitchen.wait(0)
    assert kitchen.take() == "alarm"


def test_due_announcement_does_not_follow_the_clock(kitchen):
    kitchen.say("long")
    kitchen.take()
    say_in(kitchen, 1, ttl=600)
    pass_time(kitchen, 3600)
    kitchen.wall -= timedelta(hours=5)
    kitchen.wait(10)
    kitchen.finish()
    assert kitchen.take() == "alarm"


def test_delay_in_seconds_does_not_follow_the_clock(kitchen):
    kitchen.say("later", not_before=3600.0)
    kitchen.wall += timedelta(hours=5)
    kitchen.wait(0)
    assert kitchen.take() is None
    assert kitchen.next_wakeup == kitchen.now + 3600


def test_drift_of_the_clocks_moves_nothing(kitchen):
    say_in(kitchen, 1)
    kitchen.wall += timedelta(seconds=0.5)
    kitchen.wait(0)
    assert kitchen.next_wakeup == kitchen.now + 3600
