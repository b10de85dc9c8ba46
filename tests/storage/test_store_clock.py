"""The store and time: deadlines and memory run on over a restart, whatever is done to the clock on the wall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgevoice.storage import database
from tests.support.stores import Rig, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from edgevoice.storage.store import Store

DAY = 86400.0


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def left(store: Store, rig: Rig, name: str, speaker: str = "kitchen") -> float:
    row = store.pending[speaker, name]
    return row.expires_from(rig.clocks.monotonic) - rig.clocks.monotonic


async def test_deadlines_are_absolute_over_a_restart(rig: Rig) -> None:
    async with rig.enter() as first:
        await first.put(
            [rig.pending("a", due=rig.clocks.monotonic + 4 * 3600, expires=rig.clocks.monotonic + 15_000)]
        )
    rig.clocks.advance(3600)
    async with rig.enter() as second:
        [a] = second.pending.values()
        assert a.due - rig.clocks.monotonic == pytest.approx(3 * 3600)
        assert left(second, rig, "a") == pytest.approx(11_400)
        assert rig.clocks.monotonic - a.received == pytest.approx(3600)


async def test_deadlines_are_absolute_over_a_boot(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with rig.enter() as first:
        await first.put(
            [rig.pending("a", due=rig.clocks.monotonic + 4 * 3600, expires=rig.clocks.monotonic + 15_000)]
        )
        first.record(outcome("f"))
    boot(rig, monkeypatch, tmp_path)
    rig.clocks.wall += 3600
    async with rig.enter() as second:
        [a] = second.pending.values()
        assert a.due - rig.clocks.monotonic == pytest.approx(3 * 3600, abs=1)
        assert left(second, rig, "a") == pytest.approx(11_400, abs=1)
        assert (await second.snapshot()).finished["kitchen", "f"] == pytest.approx(
            rig.clocks.monotonic - 3600, abs=1
        )


async def test_ttl_stands_still_while_held_also_over_a_restart(rig: Rig) -> None:
    async with rig.enter() as first:
        rows = [rig.pending("a", speaker) for speaker in ("kitchen", "study")]
        await first.put(rows)
        rig.clocks.advance(100)
        first.reschedule(
            "kitchen", "a", due=rows[0].due, expires=rows[0].expires, held_since=rig.clocks.monotonic
        )
        first.reschedule("kitchen", "unknown", due=0.0, expires=0.0, held_since=0.0)
    rig.clocks.advance(3600)
    async with rig.enter() as second:
        assert second.pending["kitchen", "a"].held_since == pytest.approx(rig.clocks.monotonic - 3600)
        assert left(second, rig, "a") == pytest.approx(500)
        assert left(second, rig, "a", "study") == pytest.approx(-3100)


@pytest.mark.parametrize("days", [-3, -400, 3, 400])
async def test_setting_the_clock_changes_no_age(rig: Rig, days: int) -> None:
    async with rig.enter() as first:
        await first.put([rig.pending("before")])
        rig.clocks.advance(50)
        first.record(outcome("f"))
        await first.flush()
        rig.clocks.wall += days * DAY
        await first.put([rig.pending("after")])
        rig.clocks.advance(20)
    rig.clocks.wall += days * DAY
    async with rig.enter() as second:
        assert left(second, rig, "before") == pytest.approx(530, abs=1)
        assert left(second, rig, "after") == pytest.approx(580, abs=1)
        finished = (await second.snapshot()).finished
        assert finished == {("kitchen", "f"): pytest.approx(rig.clocks.monotonic - 20, abs=1)}


async def test_clocks_that_drift_apart_slowly_move_nothing(rig: Rig) -> None:
    async with rig.enter() as first:
        await first.put([rig.pending("a")])
        for _ in range(9):
            rig.clocks.advance(10)
            rig.clocks.wall += 0.1
            await first.put([rig.pending("b")])
    async with rig.enter() as second:
        assert left(second, rig, "a") == pytest.approx(510, abs=1)


async def test_after_a_boot_into_the_past_nothing_has_a_negative_age(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with rig.enter() as first:
        await first.put([rig.pending("a", due=rig.clocks.monotonic + 60, expires=rig.clocks.monotonic + 660)])
        first.record(outcome("f"))
    rig.clocks.wall -= 90 * DAY
    boot(rig, monkeypatch, tmp_path)
    async with rig.enter() as second:
        [a] = second.pending.values()
        assert a.received == pytest.approx(rig.clocks.monotonic, abs=1)
        assert a.due == pytest.approx(rig.clocks.monotonic + 60, abs=1)
        assert left(second, rig, "a") == pytest.approx(660, abs=1)
        assert (await second.snapshot()).finished == {}


async def test_finished_ids_are_forgotten_after_a_day(rig: Rig) -> None:
    async with rig.enter() as first:
        first.record(outcome("old"))
        await first.flush()
        rig.clocks.advance(DAY / 2)
        first.record(outcome("new"))
    rig.clocks.advance(DAY / 2 + 1)
    async with rig.enter() as second:
        assert set((await second.snapshot()).finished) == {("kitchen", "new")}
    rig.clocks.advance(DAY)
    async with rig.enter() as third:
        assert (await third.snapshot()).finished == {}


async def test_an_expired_one_is_still_told_of(rig: Rig) -> None:
    async with rig.enter() as first:
        await first.put([rig.pending("a", ttl=10.0)])
    rig.clocks.advance(30 * DAY)
    async with rig.enter() as second:
        assert left(second, rig, "a") < 0


def boot(rig: Rig, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "boot_id").write_text("another\n")
    monkeypatch.setattr(database, "BOOT_ID", folder / "boot_id")
    rig.clocks.monotonic = 3.0
