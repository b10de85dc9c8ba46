"""What one speaker would do with an announcement, as `edgevoice explain` says it: the very rules it is said by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from edgevoice.announcement import DEFAULT_TTL_S, Urgency
from edgevoice.control import explain_route, explain_speaker
from edgevoice.playback.speaker import SpeakerSnapshot
from edgevoice.scheduler.policy import UNDERSTOOD_S, QuietWindow, RepeatGrowth
from edgevoice.scheduler.settings import SpeakerPolicy, SpeakerSettings
from edgevoice.synthesis.routing import DEFAULT_ROUTES
from tests.support.announcements import announcement

LOW, NORMAL, HIGH, CRITICAL = Urgency
NIGHT = QuietWindow(frozenset(range(7)), 22 * 60, 7 * 60)
NOON = datetime(2026, 11, 22, 12, 0).astimezone()
MIDNIGHT = datetime(2026, 11, 22, 0, 0).astimezone()
NOW = "interrupts what is being said at once"
AT_PAUSE = "interrupts what is being said at its next pause, at the latest after 2 s"
JOINS = "joins what is being said: the same alarm"
WAITS = "waits until what is being said has ended"
AT_ONCE = "is said at once"


def presence(volume: int = 60, *, at: datetime = NOON, **manners: Any) -> SpeakerSettings:
    return SpeakerSettings(SpeakerPolicy(quiet_hours=(NIGHT,), **manners), volume, lambda: at)


def explained(
    said: Any, at: SpeakerSettings | None = None, scene: SpeakerSnapshot | None = None
) -> dict[str, Any]:
    return explain_speaker("kitchen", said, at or presence(), scene or SpeakerSnapshot(), 1000.0)


def against(urgency: Urgency, current: Urgency, *, heard_s: float = 1.0, **more: Any) -> str:
    """What a new one does while another is being said."""
    new = announcement(urgency, id="new", **{"text": "Something new.", **more})
    scene = SpeakerSnapshot(announcement(current, id="old", tag="door"), heard_s)
    what: str = explained(new, scene=scene)["what"]
    return what


def test_a_speaker_that_says_nothing_says_it_at_once():
    for urgency in Urgency:
        said = explained(announcement(urgency))
        assert (said["speaker"], said["what"], said["held"], said["ahead"]) == ("kitchen", AT_ONCE, None, 0)
        assert said["ttl"] == DEFAULT_TTL_S[urgency]


@pytest.mark.parametrize(
    ("urgency", "does"),
    [
        (LOW, [WAITS, WAITS, WAITS, WAITS]),
        (NORMAL, [WAITS, WAITS, WAITS, WAITS]),
        (HIGH, [AT_PAUSE, AT_PAUSE, WAITS, WAITS]),
        (CRITICAL, [NOW, NOW, NOW, WAITS]),
    ],
)
def test_each_urgency_does_to_each_that_is_being_said_what_the_contract_says(urgency, does):
    assert [against(urgency, current) for current in Urgency] == does


def test_another_critical_one_cuts_in_once_the_older_was_understood():
    assert against(CRITICAL, CRITICAL, heard_s=UNDERSTOOD_S - 0.1) == WAITS
    assert against(CRITICAL, CRITICAL, heard_s=UNDERSTOOD_S) == NOW


def test_the_same_alarm_joins_by_its_tag_or_its_text():
    assert against(CRITICAL, CRITICAL, heard_s=60, tag="door") == JOINS
    assert against(CRITICAL, CRITICAL, heard_s=60, text="Hello.") == JOINS
    assert against(CRITICAL, CRITICAL, heard_s=60, tag="door", resolves=True) == NOW
    assert against(HIGH, NORMAL, tag="door") == AT_PAUSE


def test_it_waits_for_those_that_are_not_less_urgent():
    waiting = [announcement(urgency) for urgency in (CRITICAL, HIGH, HIGH, NORMAL, LOW)]
    ahead = [
        explained(announcement(urgency), scene=SpeakerSnapshot(None, 0.0, waiting))["ahead"]
        for urgency in Urgency
    ]
    assert ahead == [5, 4, 3, 1]
    assert explained(announcement(HIGH), scene=SpeakerSnapshot(None, 0.0, waiting))["what"] == "waits for 3"
    assert explained(announcement(CRITICAL), scene=SpeakerSnapshot(None, 0.0, waiting[1:]))["what"] == AT_ONCE


def switched(how: str) -> SpeakerSettings:
    at = presence(at=MIDNIGHT if how == "quiet hours" else NOON)
    at.mute = how == "mute"
    if how == "do not disturb":
        at.set_dnd()
    return at


@pytest.mark.parametrize(
    ("how", "held"),
    [("mute", [LOW, NORMAL, HIGH]), ("do not disturb", [LOW, NORMAL, HIGH]), ("quiet hours", [LOW, NORMAL])],
)
def test_what_is_held_says_why(how, held):
    for urgency in Urgency:
        said = explained(announcement(urgency), switched(how))
        if urgency in held:
            assert (said["held"], said["what"]) == (how, f"is held: {how}")
        else:
            assert (said["held"], said["what"]) == (None, AT_ONCE)


def test_what_is_held_does_nothing_to_what_is_being_said():
    scene = SpeakerSnapshot(announcement(NORMAL), 1.0)
    assert explained(announcement(HIGH), switched("mute"), scene)["what"] == "is held: mute"
    assert explained(announcement(HIGH), switched("quiet hours"), scene)["what"] == AT_PAUSE
    assert explained(announcement(CRITICAL), switched("mute"), scene)["what"] == NOW


def test_do_not_disturb_that_is_over_holds_nothing():
    at = presence()
    at.set_dnd(minutes=5)
    assert explained(announcement(), at)["held"] == "do not disturb"
    at.dnd_until = 999.0
    assert explained(announcement(), at)["held"] is None


@pytest.mark.parametrize(
    ("urgency", "asked", "by_day", "by_night"),
    [
        (NORMAL, None, 60, 30),
        (NORMAL, 90, 90, 30),
        (HIGH, None, 60, 30),
        (HIGH, 10, 10, 10),
        (CRITICAL, None, 70, 70),
        (CRITICAL, 10, 70, 70),
        (CRITICAL, 95, 95, 70),
    ],
)
def test_the_volume_is_the_announcements_then_the_speakers_then_the_nights_and_last_the_alarms(
    urgency, asked, by_day, by_night
):
    said = announcement(urgency, volume=asked)
    assert explained(said)["volume"] == by_day
    assert explained(said, presence(at=MIDNIGHT))["volume"] == by_night


def test_the_volume_of_an_urgency_goes_before_the_speakers():
    at = presence(volumes={LOW: 20, CRITICAL: 40})
    assert [explained(announcement(urgency), at)["volume"] for urgency in Urgency] == [20, 60, 60, 70]


def test_the_first_round_is_not_louder():
    at = presence(growth=RepeatGrowth(gap=0.5, volume=20))
    assert explained(announcement(HIGH), at)["volume"] == 60
    assert at.loudness(announcement(HIGH), 2) == 80


def test_the_chime_is_the_announcements_then_the_urgencys():
    assert [explained(announcement(urgency))["chime"] for urgency in Urgency] == [
        None,
        None,
        "attention",
        "alarm",
    ]
    assert explained(announcement(LOW, chime="ding"))["chime"] == "ding"
    assert explained(announcement(CRITICAL, chime="none"))["chime"] is None
    assert explained(announcement(HIGH), presence(chimes={HIGH: "none", LOW: "done"}))["chime"] is None


def test_the_route_is_that_of_the_transports_there_are():
    short, there = announcement(CRITICAL), ("http", "websocket", "local")
    route = explain_route(short, DEFAULT_ROUTES, there)
    assert route["transports"] == ["websocket", "http", "local"]
    assert route["why"] == "urgency is critical; http_stream not available"
    private = explain_route(announcement(private=True), DEFAULT_ROUTES, there)
    assert private["transports"] == ["local"]
