"""The wall-clock time of `not_before: "HH:MM"`, also over a restart (defect 9.19)."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from edgevoice import Say
from edgevoice.commands import Replay
from tests.intake.test_intake import make_house
from tests.support.stores import pending

EVENING = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
MORNING = datetime(2026, 11, 29, 7, 0, tzinfo=UTC)
PAYLOAD = b'{"text": "Wake up.", "not_before": "07:00", "id": "x", "urgency": "high"}'


@pytest.fixture
async def house():
    house = make_house()
    house.intake._local_now = lambda: EVENING
    return house


async def test_time_of_day_has_its_wall_clock_time(house):
    house.intake.submit(Say(target="kitchen", payload=PAYLOAD))
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "a", "not_before": 60}'))
    assert [said.due_at for said in house.kitchen.said] == [MORNING, None]


@pytest.mark.parametrize(("due_in_s", "due_at"), [(3600.0, MORNING), (-3600.0, None)])
async def test_restored_time_of_day_is_the_next_one_unless_it_has_come(house, due_in_s, due_at):
    now = asyncio.get_running_loop().time()
    row = pending("x", "kitchen", now - 7200, payload=PAYLOAD, expires=now + 9000)
    house.intake.restore([msgspec.structs.replace(row, due=now + due_in_s)])
    [said] = house.kitchen.said
    assert said.due == pytest.approx(now + due_in_s)
    assert said.due_at == due_at


async def test_replayed_announcement_has_no_time_of_day(house):
    house.intake.submit(Say(target="kitchen", payload=PAYLOAD))
    house.intake.submit(Replay(target="kitchen", payload=b""))
    assert (house.kitchen.said[1].due_at, house.kitchen.said[1].not_before) == (None, 0.0)


async def test_restored_alert_between_two_rounds_keeps_its_next_round(house):
    """Its time of day has come: it must not move to that of tomorrow."""
    now = asyncio.get_running_loop().time()
    house.intake._local_now = lambda: datetime(2026, 11, 29, 7, 5, tzinfo=UTC)
    row = pending("x", "kitchen", now - 9 * 3600, payload=PAYLOAD, expires=now + 9000)
    house.intake.restore([msgspec.structs.replace(row, due=now + 300)])
    [said] = house.kitchen.said
    assert said.due == pytest.approx(now + 300)
    assert said.due_at is None
