"""`edgevoice explain` for one speaker: the rules that the scheduler itself applies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from edgevoice.announcement import DEFAULT_TTL_S, Urgency
from edgevoice.control import explain_route, explain_speaker
from edgevoice.playback.speaker import SpeakerSnapshot
from edgevoice.scheduler.policy import UNDERSTOOD_S, QuietWindow, RepeatGrowth, SpeakerPolicy, SpeakerSettings
from edgevoice.synthesis.routing import DEFAULT_ROUTES
from tests.support.announcements import announcement

LOW, NORMAL, HIGH, CRITICAL = Urgency
NIGHT = QuietWindow(frozenset(range(7)), 22 * 60, 7 * 60)
NOON = datetime(2026, 11, 22, 12, 0).astimezone()
MIDNIGHT = datetime(2026, 11, 22, 0, 0).astimezone()
NOW, AT_PAUSE, JOINS, WAITS, AT_ONCE = "now", "at_pause", "coalesce", "wait", "play"


def settings_at(volume: int = 60, *, at: datetime = NOON, **policy: Any) -> SpeakerSettings:
    return SpeakerSettings(SpeakerPolicy(quiet_hours=(NIGHT,), **policy), volume, lambda: at)


def explained(
    said: Any, at: SpeakerSettings | None = None, scene: SpeakerSnapshot | None = None
) -> dict[str, Any]:
    return explain_speaker("kitchen", said, at or settings_at(), scene or SpeakerSnapshot(), 1000.0)


def against(urgency: Urgency, current: Urgency, *, heard_s: float = 1.0, **more: Any) -> str:
    """The effect of a new announcement on the playing one."""
    new = announcement(urgency, id="new", **{"text": "Something new.", **more})
    scene = SpeakerSnapshot(announcement(current, id="old", tag="door"), heard_s)
    action: str = explained(new, scene=scene)["action"]
    return action


def test_idle_speaker_plays_at_once():
    for urgency in Urgency:
        said = explained(announcement(urgency))
        assert (said["speaker"], said["action"], said["held"], said["ahead"]) == ("kitchen", AT_ONCE, None, 0)
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
def test_preemption_by_urgency(urgency, does):
    assert [against(urgency, current) for current in Urgency] == does


def test_critical_interrupts_critical_after_5_s():
    assert against(CRITICAL, CRITICAL, heard_s=UNDERSTOOD_S - 0.1) == WAITS
    assert against(CRITICAL, CRITICAL, heard_s=UNDERSTOOD_S) == NOW


def test_same_alarm_coalesces():
    assert against(CRITICAL, CRITICAL, heard_s=60, text="Hello.") == JOINS
    assert against(CRITICAL, CRITICAL, heard_s=60, tag="door", text="Hello.") == JOINS
    assert against(CRITICAL, CRITICAL, heard_s=60, tag="door") == WAITS
    assert against(CRITICAL, CRITICAL, heard_s=60, tag="door", resolves=True) == WAITS
    assert against(CRITICAL, CRITICAL, heard_s=60, text="Hello.", tag="window", resolves=True) == NOW
    assert against(HIGH, NORMAL, tag="door") == AT_PAUSE


def test_ahead_counts_not_less_urgent():
    waiting = [announcement(urgency) for urgency in (CRITICAL, HIGH, HIGH, NORMAL, LOW)]
    ahead = [
        explained(announcement(urgency), scene=SpeakerSnapshot(None, 0.0, waiting))["ahead"]
        for urgency in Urgency
    ]
    assert ahead == [5, 4, 3, 1]
    assert explained(announcement(HIGH), scene=SpeakerSnapshot(None, 0.0, waiting))["action"] == WAITS
    assert (
        explained(announcement(CRITICAL), scene=SpeakerSnapshot(None, 0.0, waiting[1:]))["action"] == AT_ONCE
    )


def switched(how: str) -> SpeakerSettings:
    at = settings_at(at=MIDNIGHT if how == "quiet hours" else NOON)
    at.apply("mute", "ON" if how == "mute" else "OFF", 1000.0)
    at.apply("dnd", "ON" if how == "do not disturb" else "OFF", 1000.0)
    return at


@pytest.mark.parametrize(
    ("how", "held"),
    [("mute", [LOW, NORMAL, HIGH]), ("do not disturb", [LOW, NORMAL, HIGH]), ("quiet hours", [LOW, NORMAL])],
)
def test_held_with_reason(how, held):
    for urgency in Urgency:
        said = explained(announcement(urgency), switched(how))
        if urgency in held:
            assert (said["held"], said["action"]) == (how, "hold")
        else:
            assert (said["held"], said["action"]) == (None, AT_ONCE)


def test_held_does_not_preempt():
    scene = SpeakerSnapshot(announcement(NORMAL), 1.0)
    assert explained(announcement(HIGH), switched("mute"), scene)["action"] == "hold"
    assert explained(announcement(HIGH), switched("quiet hours"), scene)["action"] == AT_PAUSE
    assert explained(announcement(CRITICAL), switched("mute"), scene)["action"] == NOW


def test_expired_dnd_holds_nothing():
    at = settings_at()
    at.apply("dnd", "5", 1000.0 - 299)
    assert explained(announcement(), at)["held"] == "do not disturb"
    at.apply("dnd", "5", 1000.0 - 300)
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
def test_volume_order(urgency, asked, by_day, by_night):
    said = announcement(urgency, volume=asked)
    assert explained(said)["volume"] == by_day
    assert explained(said, settings_at(at=MIDNIGHT))["volume"] == by_night


def test_volume_of_urgency():
    at = settings_at(volumes={LOW: 20, CRITICAL: 40})
    assert [explained(announcement(urgency), at)["volume"] for urgency in Urgency] == [20, 60, 60, 70]


def test_first_round_is_not_louder():
    at = settings_at(growth=RepeatGrowth(gap=0.5, volume=20))
    assert explained(announcement(HIGH), at)["volume"] == 60
    assert at.effective_volume(announcement(HIGH), 1000.0, 2) == 80


def test_chime_order():
    assert [explained(announcement(urgency))["chime"] for urgency in Urgency] == [
        None,
        None,
        "attention",
        "alarm",
    ]
    assert explained(announcement(LOW, chime="ding"))["chime"] == "ding"
    assert explained(announcement(CRITICAL, chime="none"))["chime"] is None
    assert explained(announcement(HIGH), settings_at(chimes={HIGH: "none", LOW: "done"}))["chime"] is None


def test_route_uses_available_transports():
    short, there = announcement(CRITICAL), ("http", "websocket", "local")
    route = explain_route(short, DEFAULT_ROUTES, there)
    assert route["transports"] == ["websocket", "http", "local"]
    assert route["why"] == "urgency is critical; http_stream not available"
    private = explain_route(announcement(private=True), DEFAULT_ROUTES, there)
    assert private["transports"] == ["local"]
