"""Switches as they are set from outside: what each value means, and that what is none is refused."""

from types import SimpleNamespace

import pytest

from edgevoice.errors import InvalidAnnouncement
from edgevoice.speaker.switches import LONGEST_DND, switch
from tests.support.agenda import Kitchen


@pytest.fixture
def kitchen():
    kitchen = Kitchen(volume=50)
    return SimpleNamespace(presence=kitchen.presence, tick=lambda: kitchen.wait(0), kitchen=kitchen)


@pytest.mark.parametrize(
    ("value", "on"),
    [("ON", True), ("on", True), ("True", True), ("1", True), ("OFF", False), ("false", False), ("0", False)],
)
@pytest.mark.parametrize("what", ["mute", "dnd"])
def test_on_and_off_in_any_case(kitchen, what, value, on):
    switch(kitchen, what, "OFF" if on else "ON")
    switch(kitchen, what, value)
    posture = kitchen.kitchen.agenda.waiting.posture
    assert getattr(posture, what) is on


def test_do_not_disturb_takes_a_number_of_minutes(kitchen):
    switch(kitchen, "dnd", "90")
    assert kitchen.presence.next_change == 1000 + 90 * 60
    switch(kitchen, "dnd", str(LONGEST_DND))
    with pytest.raises(InvalidAnnouncement, match="too long"):
        switch(kitchen, "dnd", str(LONGEST_DND + 1))
    with pytest.raises(InvalidAnnouncement, match="too long"):
        switch(kitchen, "dnd", "9" * 4000)


def test_the_volume_is_set_or_stepped(kitchen):
    for value, volume in (("80", 80), ("+5", 85), ("-10", 75)):
        switch(kitchen, "volume", value)
        assert kitchen.presence.volume == volume


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("mute", ""),
        ("mute", "5"),
        ("mute", "yes"),
        ("dnd", ""),
        ("dnd", "-5"),
        ("dnd", "5.5"),
        ("dnd", "0002x"),
    ]
    + [("volume", value) for value in ("", "101", "loud", "9" * 4000, "-", "+-5")],
)
def test_anything_else_is_refused_with_what_is_allowed(kitchen, what, value):
    with pytest.raises(InvalidAnnouncement) as refused:
        switch(kitchen, what, value)
    assert (refused.value.key, bool(refused.value.allowed)) == (what, True)
    assert len(str(refused.value)) < 200
    assert (kitchen.presence.mute, kitchen.presence.posture.dnd, kitchen.presence.volume) == (
        False,
        False,
        50,
    )
