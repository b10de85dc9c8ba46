"""The settings of a speaker, and the volume, the chime and the hold state that follow from them."""

import math
from datetime import UTC, datetime

import pytest

from edgevoice.announcement import Urgency
from edgevoice.errors import InvalidAnnouncement
from edgevoice.scheduler.policy import (
    MAX_DND_MINUTES,
    HoldState,
    QuietWindow,
    RepeatGrowth,
    SpeakerPolicy,
    SpeakerSettings,
)
from tests.support.scheduler import announcement

NIGHT = QuietWindow(frozenset(range(7)), 22 * 60, 7 * 60)
NOW = 1000.0
LOW, NORMAL, HIGH, CRITICAL = Urgency


def settings(volume=100, hour=12, **policy):
    wall = datetime(2026, 3, 2, hour, 0, tzinfo=UTC)
    return SpeakerSettings(SpeakerPolicy(quiet_hours=(NIGHT,), **policy), volume, lambda: wall)


def loudness(kitchen, announcement, round_=1):
    return kitchen.effective_volume(announcement, NOW, round_)


@pytest.mark.parametrize(
    ("urgency", "hour", "volume"),
    [(LOW, 12, 50), (NORMAL, 12, 50), (HIGH, 12, 50), (CRITICAL, 12, 70), (HIGH, 23, 30), (CRITICAL, 23, 70)],
)
def test_the_speakers_volume_the_quiet_volume_and_never_below_the_critical_volume(urgency, hour, volume):
    assert loudness(settings(50, hour), announcement(urgency)) == volume


def test_the_announcements_goes_before_its_urgencys_and_that_before_the_speakers():
    kitchen = settings(50, volumes={LOW: 20})
    assert loudness(kitchen, announcement(LOW, volume=90)) == 90
    assert loudness(kitchen, announcement(LOW)) == 20
    assert loudness(kitchen, announcement(NORMAL)) == 50


def test_a_later_round_is_louder_but_not_at_night():
    growth = RepeatGrowth(volume=15)
    assert [loudness(settings(50, growth=growth), announcement(HIGH), round_) for round_ in (1, 2, 3, 9)] == [
        50, 65, 80, 100,
    ]  # fmt: skip
    assert loudness(settings(50, 23, growth=growth), announcement(HIGH), 9) == 30


@pytest.mark.parametrize(
    ("state", "holds"),
    [
        (HoldState(), [None, None, None, None]),
        (HoldState(quiet=True), ["quiet hours", "quiet hours", None, None]),
        (HoldState(dnd=True), ["do not disturb"] * 3 + [None]),
        (HoldState(mute=True, dnd=True, quiet=True), ["mute"] * 3 + [None]),
    ],
)
def test_held_urgencies_and_reasons(state, holds):
    assert [state.holds(urgency) for urgency in Urgency] == holds


def test_dnd_lasts_until_switched_off_or_for_some_minutes():
    kitchen = settings()

    def dnd(value):
        kitchen.apply("dnd", value, NOW)
        return kitchen.hold_state(NOW).dnd, kitchen.dnd_until

    assert dnd("ON") == (True, math.inf)
    assert dnd("5") == (True, NOW + 300)
    assert not kitchen.hold_state(NOW + 300).dnd
    assert dnd(str(MAX_DND_MINUTES)) == (True, NOW + MAX_DND_MINUTES * 60)
    assert dnd("OFF") == (False, 0.0)


def test_the_chime_is_the_announcements_else_its_urgencys():
    kitchen = settings()
    assert [kitchen.chime(announcement(urgency)) for urgency in Urgency] == [None, None, "attention", "alarm"]
    assert kitchen.chime(announcement(LOW, chime="ding")) == "ding"
    assert kitchen.chime(announcement(CRITICAL, chime="none")) is None


@pytest.mark.parametrize(
    ("value", "volume"), [("0", 0), ("100", 100), ("+5", 55), ("-5", 45), ("+60", 100), ("-60", 0)]
)
def test_the_volume_is_set_or_stepped(value, volume):
    kitchen = settings(50)
    kitchen.apply("volume", value, NOW)
    assert kitchen.volume == volume


@pytest.mark.parametrize(
    ("value", "on"),
    [("ON", True), ("on", True), ("True", True), ("1", True), ("OFF", False), ("false", False), ("0", False)],
)
@pytest.mark.parametrize("name", ["mute", "dnd"])
def test_on_and_off_in_any_case(name, value, on):
    kitchen = settings()
    kitchen.apply(name, "OFF" if on else "ON", NOW)
    kitchen.apply(name, value, NOW)
    assert getattr(kitchen.hold_state(NOW), name) is on


@pytest.mark.parametrize(
    ("name", "value"),
    [("mute", value) for value in ("", "5", "yes")]
    + [("dnd", value) for value in ("", "-5", "5.5", "0002x", str(MAX_DND_MINUTES + 1), "9" * 4000)]
    + [
        ("volume", value)
        for value in (
            "",
            "101",
            "loud",
            "9" * 4000,
            "-",
            "+-5",
            "x",
            "5.5",
            "+",
            "--5",
            "+ 5x",
            "²",
            "٣",
            "1_0",
            " 5",
        )
    ],
)
def test_any_other_value_is_refused_with_what_is_allowed_and_changes_nothing(name, value):
    kitchen = settings(50)
    with pytest.raises(InvalidAnnouncement) as refused:
        kitchen.apply(name, value, NOW)
    assert (refused.value.key, bool(refused.value.allowed)) == (name, True)
    assert len(str(refused.value)) < 200
    assert (kitchen.volume, kitchen.hold_state(NOW)) == (50, HoldState())
