"""Quiet hours, against an oracle that walks every minute of a year in twelve zones, one by one."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from edgevoice.config.options import minute_of_day
from edgevoice.scheduler.policy import QuietWindow, is_quiet

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Auckland",
    "Africa/Casablanca",
]
QUARTER = 15


def windows_of(seed):
    """Some windows, by day and right over midnight; some touch the hours that daylight saving moves."""
    dice = Random(seed)
    windows = [
        QuietWindow(frozenset({6}), 22 * 60, 3 * 60),
        QuietWindow(frozenset({5, 6}), 2 * 60, 2 * 60 + 30),
    ]
    for _ in range(2):
        days = frozenset(dice.sample(range(7), dice.randint(1, 7)))
        windows.append(QuietWindow(days, dice.randrange(1440), dice.randrange(1440)))
    return windows


def painted(windows):
    """The oracle: each minute of a week of the wall's clock, painted by walking through each window."""
    week = [False] * (7 * 1440)
    for window in windows:
        for day in window.days:
            minute = window.start
            while True:
                week[(day * 1440 + minute) % len(week)] = True
                minute += 1
                if minute % 1440 == window.end % 1440:
                    break
    return week


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_of_a_year_is_what_an_oracle_says(zone):
    windows, place = windows_of(zone), ZoneInfo(zone)
    week, start, steps = painted(windows), datetime(2026, 1, 1, tzinfo=UTC), range(QUARTER)
    minutes = [timedelta(minutes=minute) for minute in steps]
    wrong = []
    for quarter in range(0, 365 * 1440, QUARTER):
        # No zone changes its offset within a quarter of an hour.
        local = (start + timedelta(minutes=quarter)).astimezone(place)
        at = local.weekday() * 1440 + local.hour * 60 + local.minute
        found = [is_quiet(windows, local + minute) for minute in minutes]
        if found != [week[(at + minute) % len(week)] for minute in steps]:
            wrong.append(local)
    assert wrong == []


def at(text, zone="Europe/Berlin"):
    return datetime.fromisoformat(text).astimezone(ZoneInfo(zone))


def test_the_day_is_the_one_the_window_begins_on():
    friday = [QuietWindow(frozenset({4}), 22 * 60, 7 * 60)]
    assert not is_quiet(friday, at("2026-03-06T06:59:00+01:00"))
    assert is_quiet(friday, at("2026-03-06T22:00:00+01:00"))
    assert is_quiet(friday, at("2026-03-07T06:59:59+01:00"))
    assert not is_quiet(friday, at("2026-03-07T07:00:00+01:00"))
    assert not is_quiet(friday, at("2026-03-07T22:00:00+01:00"))


def test_right_over_both_changes_of_the_clock():
    night = [QuietWindow(frozenset(range(7)), 22 * 60, 7 * 60)]
    for begin in ("2026-03-28T22:00:00+01:00", "2026-10-24T22:00:00+02:00"):
        first = at(begin).astimezone(UTC)
        quiet = [
            is_quiet(night, (first + timedelta(minutes=minute)).astimezone(ZoneInfo("Europe/Berlin")))
            for minute in range(12 * 60)
        ]
        # The night is eight hours long in spring, ten in autumn.
        hours = 8 if "03-28" in begin else 10
        assert quiet == [True] * hours * 60 + [False] * (12 - hours) * 60


def test_an_hour_that_comes_twice_is_quiet_both_times():
    window = [QuietWindow(frozenset({6}), 2 * 60, 3 * 60)]
    assert is_quiet(window, at("2026-10-25T02:30:00+02:00"))
    assert is_quiet(window, at("2026-10-25T02:30:00+01:00"))
    assert not is_quiet(window, at("2026-10-25T03:00:00+01:00"))


@pytest.mark.parametrize(
    ("given", "minute"), [("22:00", 1320), ("7:05", 425), (1320, 1320), ("00:00", 0), ("24:00", 0), (60, 60)]
)
def test_a_time_of_day_is_understood_also_as_the_number_that_yaml_makes_of_it(given, minute):
    assert minute_of_day(given) == minute


@pytest.mark.parametrize(
    "given", ["", "22", "22:60", "24:01", "x:00", "22:0", "122:00", "-1:00", 1441, -1, 30, "²2:00"]
)
def test_invalid_time_of_day_is_refused(given):
    with pytest.raises(ValueError, match="time of day"):
        minute_of_day(given)
