"""How a speaker may speak now: its switches, how loud it is, and its chime."""

import re
from datetime import UTC, datetime

import pytest

from edgevoice.announcement import Urgency
from edgevoice.speaker.insisting import Escalation
from edgevoice.speaker.presence import SpeakerPolicy, SpeakerSettings
from edgevoice.speaker.quiet import QuietWindow
from edgevoice.speaker.rules import Posture
from tests.support.announcements import announcement

NIGHT = QuietWindow(frozenset(range(7)), 22 * 60, 7 * 60)
LOW, NORMAL, HIGH, CRITICAL = Urgency


def presence(volume=100, hour=12, **manners):
    wall = datetime(2026, 3, 2, hour, 0, tzinfo=UTC)
    return SpeakerSettings(
        SpeakerPolicy(quiet_hours=(NIGHT,), **manners), volume, lambda: wall, lambda: 1000.0
    )


@pytest.mark.parametrize(
    ("urgency", "hour", "volume"),
    [(LOW, 12, 50), (NORMAL, 12, 50), (HIGH, 12, 50), (CRITICAL, 12, 70), (HIGH, 23, 30), (CRITICAL, 23, 70)],
)
def test_the_speakers_volume_the_quiet_volume_and_never_below_the_critical_volume(urgency, hour, volume):
    assert presence(50, hour).loudness(announcement(urgency)) == volume


def test_the_announcements_goes_before_its_urgencys_and_that_before_the_speakers():
    kitchen = presence(50, volumes={LOW: 20})
    assert kitchen.loudness(announcement(LOW, volume=90)) == 90
    assert kitchen.loudness(announcement(LOW)) == 20
    assert kitchen.loudness(announcement(NORMAL)) == 50


def test_a_later_round_is_louder_but_not_at_night():
    growth = Escalation(volume=15)
    assert [presence(50, growth=growth).loudness(announcement(HIGH), round_) for round_ in (1, 2, 3, 9)] == [
        50, 65, 80, 100,
    ]  # fmt: skip
    assert presence(50, 23, growth=growth).loudness(announcement(HIGH), 9) == 30


@pytest.mark.parametrize(
    ("posture", "holds"),
    [
        (Posture(), [None, None, None, None]),
        (Posture(quiet=True), ["quiet hours", "quiet hours", None, None]),
        (Posture(dnd=True), ["do not disturb"] * 3 + [None]),
        (Posture(mute=True, dnd=True, quiet=True), ["mute"] * 3 + [None]),
    ],
)
def test_what_is_held_and_why(posture, holds):
    assert [posture.holds(urgency) for urgency in Urgency] == holds


def test_do_not_disturb_lasts_until_it_is_switched_off_or_for_some_minutes():
    kitchen = presence()
    assert (kitchen.posture.dnd, kitchen.next_change) == (False, None)
    kitchen.set_dnd(on=True)
    assert (kitchen.posture.dnd, kitchen.next_change) == (True, None)
    kitchen.set_dnd(minutes=5)
    assert (kitchen.posture.dnd, kitchen.next_change) == (True, 1300.0)
    kitchen.set_dnd(on=False)
    assert (kitchen.posture.dnd, kitchen.next_change) == (False, None)


def test_the_chime_is_the_announcements_else_its_urgencys():
    kitchen = presence()
    assert [kitchen.chime(announcement(urgency)) for urgency in Urgency] == [None, None, "attention", "alarm"]
    assert kitchen.chime(announcement(LOW, chime="ding")) == "ding"
    assert kitchen.chime(announcement(CRITICAL, chime="none")) is None


@pytest.mark.parametrize(
    ("value", "volume"), [("0", 0), ("100", 100), ("+5", 55), ("-5", 45), ("+60", 100), ("-60", 0)]
)
def test_the_volume_is_set_or_stepped(value, volume):
    kitchen = presence(50)
    kitchen.set_volume(value)
    assert kitchen.volume == volume


@pytest.mark.parametrize("value", ["101", "x", "5.5", "+", "--5", "+ 5x", "²", "٣", "1_0", " 5"])
def test_a_volume_that_is_none_is_refused_and_changes_nothing(value):
    kitchen = presence(50)
    with pytest.raises(ValueError, match=re.escape(value)):
        kitchen.set_volume(value)
    assert kitchen.volume == 50
