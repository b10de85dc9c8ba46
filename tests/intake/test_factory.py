"""Announcements from commands: times on the local clock."""

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from edgevoice import Say
from edgevoice.intake.factory import build_announcement
from edgevoice.intake.intake import press_as_empty

BERLIN = ZoneInfo("Europe/Berlin")


def wait_until(moment, local_now):
    said = build_announcement(
        Say(target="all", payload=b""),
        {"text": "a", "not_before": moment},
        received_monotonic=0.0,
        local_now=local_now,
    )
    return said.not_before


@pytest.fixture(params=["UTC", "America/New_York"])
def process_zone(request, monkeypatch):
    """The zone of the process, which must not matter where one is configured."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "moment", "hours"),
    [
        ("2026-11-28T06:00", "07:30", 1.5),
        ("2026-11-28T07:30", "07:30", 0),
        ("2026-11-28T08:00", "07:30", 23.5),
        ("2026-10-24T20:00", "07:00", 12),  # summer time ends in this night
        ("2026-03-28T20:00", "07:00", 10),  # and begins in this one
        ("2026-12-31T23:00", "00:00", 1),
    ],
)
def test_not_before_is_of_configured_zone(process_zone, now, moment, hours):
    local_now = datetime.fromisoformat(now).replace(tzinfo=BERLIN)
    assert wait_until(moment, local_now) == hours * 3600


def test_not_before_without_configured_zone_is_of_system(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        local_now = datetime(2026, 10, 24, 20, 0).astimezone()
        assert wait_until("07:00", local_now) == 12 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_not_before_in_seconds():
    assert wait_until(7, datetime(2026, 10, 24, 20, 0, tzinfo=BERLIN)) == 7


@pytest.mark.parametrize("payload", [b"", b" ", b"PRESS", b"press", b"single\n", b"on", b"ON"])
def test_button_payload_is_empty(payload):
    assert press_as_empty(payload) == ""


@pytest.mark.parametrize("payload", [b"all", b"doorbell", b"once", b"off", b"double"])
def test_other_payload_is_a_word(payload):
    assert press_as_empty(payload) == payload.decode()
