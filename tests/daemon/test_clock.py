"""The clock on the wall may step by days: nothing is early, late or stale, for all waiting is monotonic."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.child import ChildHouse

LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


@pytest.fixture
def wall(tmp_path):
    """A wall clock for child processes that can be set; their monotonic clock is the real one."""
    found = [file for folder in LIBRARIES for file in Path(folder).glob("**/faketime/libfaketime.so.1")]
    assert found, "this test needs libfaketime: apt-get install libfaketime"
    return Wall(found[0], tmp_path / "faketime")


class Wall:
    def __init__(self, library, file):
        self._file = file
        self.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }
        self.step(timedelta())

    def step(self, by):
        new = self._file.with_suffix(".new")
        new.write_text(f"{by.total_seconds():+.0f}")
        new.rename(self._file)  # a reader must not find it empty meanwhile


def house_of(broker, lightning, wall, **sections):
    return ChildHouse(broker, env=wall.env, lightning={"base_url": lightning.url}, **sections)


@pytest.mark.parametrize("days", [2, -2, 400])
async def test_clock_step_changes_no_delay_and_no_ttl(days, broker, lightning, wall):
    async with house_of(broker, lightning, wall) as house:
        await house.say("d50z Later.", id="later", not_before=3)
        await house.say("d50z Stale.", id="stale", not_before=600, ttl=1)
        await house.say("d50z Urgent, later.", id="urgent", not_before=4, urgency="high")
        await house.step("urgent", "queued")
        wall.step(timedelta(days=days))
        now = await house.said("d50z Now.", id="now")
        told = datetime.fromisoformat(now["at"]).timestamp() - time.time()
        assert abs(told - days * 86_400) < 5  # the daemon does see the other time
        later, urgent = await house.outcome("later"), await house.outcome("urgent")
        assert [event["event_type"] for event in (now, later, urgent)] == ["finished"] * 3
        # Counted from its arrival; a step of days would be seen, whatever else this machine is doing.
        assert 3000 <= later["ms"]["first_sound"] < 20_000
        assert 4000 <= urgent["ms"]["first_sound"] < 20_000
        assert house.steps("stale") == ["queued"]


@pytest.mark.parametrize("days", [3, -3])
async def test_clock_step_between_two_starts_changes_no_age(days, broker, lightning, wall):
    speakers = {"kitchen": {"pace": True}}
    async with house_of(broker, lightning, wall, speakers=speakers) as house:
        await house.say("d4000z Long.", id="long", urgency="critical")
        await house.say("d50z Waiting.", id="waiting", urgency="high", ttl=120)
        await house.step("waiting", "queued")
        wall.step(timedelta(days=days))
        await house.said(
            "d50z Fire.", id="fire", urgency="critical"
        )  # whatever is noted now has the new time
        house.process.kill()
        await asyncio.wait({house.task})
        await house.again()
        outcome = await house.outcome("waiting")
        assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)


async def test_time_of_day_follows_a_clock_that_is_set(broker, lightning, wall):
    """Defect 9.19: after a start without a network the clock is hours behind, and "07:00" was fixed by it."""
    async with house_of(broker, lightning, wall, timezone="UTC") as house:
        at_seven = datetime.now(UTC) + timedelta(hours=2)
        later = (at_seven + timedelta(hours=5)).strftime("%H:%M")
        await house.say("d50z Seven.", id="seven", not_before=at_seven.strftime("%H:%M"), ttl=30)
        await house.say("d50z Later.", id="later", not_before=later, ttl=30)
        await house.step("later", "queued")
        wall.step(timedelta(hours=2))
        outcome = await house.outcome("seven")
        assert (outcome["event_type"], outcome["ms"]["first_sound"] < 25_000) == ("finished", True)
        assert house.steps("later") == ["queued"]
