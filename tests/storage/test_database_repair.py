"""The store after damage: whatever can be read of its file is used, and a fault tells of the rest."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from edgevoice.storage.database import read_history
from tests.support.stores import Rig, ids, outcome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def filled(rig: Rig) -> bytes:
    async with rig.enter() as store:
        for number in range(40):
            await store.put([rig.pending(f"a{number}", payload=bytes([number]) * 300)])
            store.record(outcome(f"o{number}"), text="x" * 200)
        store.set_setting("kitchen", "volume", 30)
    return rig.file.read_bytes()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, bytes(4096)])
async def test_a_file_that_is_no_database_is_set_aside(rig: Rig, content: bytes) -> None:
    rig.file.write_bytes(content)
    async with rig.enter() as store:
        aside = rig.folder / "edgevoice.damaged.db"
        if content.strip(b"\0"):
            assert str(aside) in str(rig.faults.now)
            assert aside.read_bytes() == content
        assert store.pending == {}
        await store.put([rig.pending("a")])
        assert rig.faults.now is None
    async with rig.enter() as again:
        assert ids(again) == ["a"]
        assert rig.faults.now is None


@pytest.mark.parametrize("seed", range(25))
async def test_damaged_pages_cost_only_their_rows(rig: Rig, seed: int) -> None:
    data = bytearray(await filled(rig))
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 3)):
        at, length = dice.randrange(100, len(data)), dice.choice([1, 8, 300, 1024])
        data[at : at + length] = dice.choice([bytes(length), dice.randbytes(length)])[: len(data) - at]
    rig.file.write_bytes(data)
    rig.faults.clear()
    async with rig.enter() as store:
        known = ids(store)
        assert len(known) == len(set(known)) <= 40
        await store.put([rig.pending("new")])
        assert rig.faults.now is None
    async with rig.enter() as again:
        assert ids(again) == [*known, "new"]
        assert rig.faults.now is None
        read_history(rig.file, last=500)


async def test_most_rows_of_a_damaged_file_are_salvaged(rig: Rig) -> None:
    data = bytearray(await filled(rig))
    [page] = [at for at in range(0, len(data), 1024) if bytes([39]) * 100 in data[at : at + 1024]][:1]
    data[page : page + 1024] = bytes(1024)
    rig.file.write_bytes(data)
    async with rig.enter() as store:
        assert "damaged" in str(rig.faults.now)
        assert len(store.pending) >= 30
        assert store.settings("kitchen") == {"volume": 30}


async def test_a_log_cut_off_at_any_byte_keeps_all_that_came_before(rig: Rig, tmp_path: Path) -> None:
    """Return the part of the unsynced writes that a power cut leaves."""
    log, states = rig.folder / "edgevoice.db-wal", []
    async with rig.enter() as store:

        async def note() -> None:
            await store.flush()
            events = [event["id"] for event in read_history(rig.file, last=9)]
            states.append(
                (log.stat().st_size, (list(store.pending.values()), events, store.settings("kitchen")))
            )

        await note()
        for name in ("a", "b"):
            await store.put(
                [rig.pending(name, speaker, payload=b"\0\n\xff{") for speaker in ("kitchen", "study")]
            )
            await note()
            store.set_setting("kitchen", "volume", len(states))
            await note()
            store.record(outcome(name), observers=["mqtt"])
            await note()
        database, whole = rig.file.read_bytes(), log.read_bytes()
    rig.faults.clear()
    for cut in sorted({*range(0, len(whole), 211), *(size for size, _ in states), len(whole)}):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "edgevoice.db").write_bytes(database)
        (folder / "edgevoice.db-wal").write_bytes(whole[:cut])
        async with rig.enter(folder) as after:
            expected = [state for size, state in states if size <= cut] or [([], [], {})]
            events = [event["id"] for event in read_history(folder / "edgevoice.db", last=9)]
            assert (list(after.pending.values()), events, after.settings("kitchen")) == expected[-1], cut
            assert rig.faults.now is None
            await after.put([rig.pending("new")])
        async with rig.enter(folder) as again:
            assert ids(again)[-1] == "new"


async def test_damage_while_it_runs_is_repaired_from_memory(rig: Rig) -> None:
    damage: list[int] = []

    class Damaged(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "COMMIT" and damage:
                damage.clear()
                rig.file.write_bytes(b"\xff" * 9000)
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            return super().execute(sql, *parameters)

    await filled(rig)
    async with rig.enter(connect=lambda *a, **k: sqlite3.connect(*a, **{"factory": Damaged} | k)) as store:
        damage.append(1)
        await store.put([rig.pending("new")])
        assert "damaged" in str(rig.faults.now)
        await store.put([rig.pending("newer")])
        assert rig.faults.now is None
        expected = ids(store)
    async with rig.enter() as again:
        assert ids(again) == expected
        assert len(expected) == 42
        assert again.settings("kitchen") == {"volume": 30}


async def test_a_row_that_makes_no_sense_is_skipped(rig: Rig) -> None:
    async with rig.enter() as store:
        await store.put([rig.pending("a"), rig.pending("b")])
    with contextlib.closing(sqlite3.connect(rig.file)) as connection, connection:
        connection.execute("UPDATE pending SET urgency = 'loud' WHERE id = 'a'")
        connection.execute("INSERT INTO outbox VALUES ('mqtt', 'kitchen', 'x', 'now', 'no json')")
        connection.execute("INSERT INTO setting VALUES ('kitchen', 'volume', 'no json')")
    connection.close()
    async with rig.enter() as again:
        found = await again.snapshot()
        assert (ids(again), found.undelivered, found.values) == (["b"], (), {})


async def test_the_file_of_a_newer_version_is_set_aside_untouched(rig: Rig) -> None:
    for name in ("edgevoice.version-99.db", "edgevoice.version-99-2.db"):
        await filled(rig)
        with contextlib.closing(sqlite3.connect(rig.file)) as connection, connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        async with rig.enter() as store:
            assert name in str(rig.faults.now)
            assert store.pending == {}
            await store.put([rig.pending("a")])
            assert rig.faults.now is None
        with contextlib.closing(sqlite3.connect(rig.folder / name)) as connection, connection:
            assert connection.execute("SELECT count(*) FROM pending").fetchone()[0] >= 40
        connection.close()


async def test_asides_are_bounded(rig: Rig) -> None:
    for _ in range(12):
        rig.file.write_bytes(b"no database at all" * 100)
        async with rig.enter():
            pass
    assert len(list(rig.folder.glob("*damaged*"))) <= 9
