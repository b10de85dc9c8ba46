"""The journal and time: ttl and memory run on over a restart, whatever is done to the clock on the wall."""

import pytest

from edgevoice import Urgency
from edgevoice.journal import journal
from tests.support.journals import Rig, kept, outcome

HIGH = Urgency.HIGH
DAY = 86400.0


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


async def test_its_ttl_stands_still_while_it_is_held_also_over_a_restart(rig):
    async with rig.enter() as first:
        await first.accept(kept("a", rig.clocks, speakers=("kitchen", "study")))
        rig.clocks.advance(100)
        first.hold("a", "kitchen", held=True)
        first.hold("nobody knows it", "kitchen", held=True)
    rig.clocks.advance(3600)
    async with rig.enter() as second:
        [a] = second.pending
        assert a.held == {"kitchen": rig.clocks.wall - 3600}
        assert (a.age("kitchen", rig.clocks.wall), a.age("study", rig.clocks.wall)) == (100, 3700)
        second.hold("a", "kitchen", held=False)
        rig.clocks.advance(50)
    async with rig.enter() as third:
        [a] = third.pending
        assert a.held == {}
        assert a.age("kitchen", rig.clocks.wall) == 150


async def test_one_whose_ttl_is_over_is_still_told_of(rig):
    async with rig.enter() as first:
        await first.accept(kept("a", rig.clocks, ttl=10.0))
    rig.clocks.advance(30 * DAY)
    async with rig.enter() as second:
        [a] = second.pending
        assert a.age("kitchen", rig.clocks.wall) > a.ttl


async def test_what_finished_is_forgotten_after_a_day(rig):
    async with rig.enter() as first:
        first.end("kitchen", "old", HIGH, outcome("old"))
        rig.clocks.advance(DAY / 2)
        first.end("kitchen", "new", HIGH, outcome("new"))
        rig.clocks.advance(DAY / 2 - 1)
        assert set(first.finished) == {("kitchen", "old"), ("kitchen", "new")}
        rig.clocks.advance(1)
        assert set(first.finished) == {("kitchen", "new")}
    async with rig.enter() as second:
        assert set(second.finished) == {("kitchen", "new")}
    rig.clocks.advance(DAY)
    async with rig.enter() as third:
        assert third.finished == {}
        assert len(third.history) == 2


@pytest.mark.parametrize("days", [-3, -400, 3, 400])
async def test_setting_the_clock_makes_nothing_older_or_younger(rig, days):
    async with rig.enter() as first:
        await first.accept(kept("before", rig.clocks))
        rig.clocks.advance(50)
        first.hold("before", "kitchen", held=True)
        first.end("kitchen", "f", HIGH, outcome("f"))
        rig.clocks.wall += days * DAY
        await first.accept(kept("after", rig.clocks))
        rig.clocks.advance(20)
        assert set(first.finished) == {("kitchen", "f")}
    rig.clocks.wall += days * DAY
    async with rig.enter() as second:
        [before, after] = second.pending
        assert before.age("kitchen", rig.clocks.wall) == pytest.approx(50, abs=1)
        assert after.age("kitchen", rig.clocks.wall) == pytest.approx(20, abs=1)
        assert set(second.finished) == {("kitchen", "f")}


async def test_after_a_boot_into_the_past_nothing_is_of_negative_age(rig, monkeypatch, tmp_path):
    async with rig.enter() as first:
        await first.accept(kept("a", rig.clocks))
        first.end("kitchen", "f", HIGH, outcome("f"))
    (tmp_path / "boot_id").write_text("another\n")
    monkeypatch.setattr(journal, "BOOT_ID", tmp_path / "boot_id")
    rig.clocks.wall, rig.clocks.monotonic = rig.clocks.wall - 90 * DAY, 3.0
    async with rig.enter() as second:
        [a] = second.pending
        assert a.age("kitchen", rig.clocks.wall) == 0
        assert second.finished == {}
