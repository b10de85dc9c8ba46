"""The store: what it was told is there after a restart, and its file stays small."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from edgevoice import Urgency
from edgevoice.storage.database import read_history
from edgevoice.storage.schema import HISTORY, MAX_UNDELIVERED
from tests.support.stores import Rig, ids, outcome

DAY = 86400.0


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def told(rig: Rig) -> list[str]:
    return [event["id"] for event in read_history(rig.file, last=500)]


class Syncing(sqlite3.Connection):
    """Notes the durability with which each transaction is committed."""

    commits: list[int]

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            [level] = super().execute("PRAGMA synchronous").fetchone()
            self.commits.append(level)
        return super().execute(sql, *parameters)


def noting(commits: list[int]) -> Any:
    kind = type("Noting", (Syncing,), {"commits": commits})
    return lambda *where, **how: sqlite3.connect(*where, **how, factory=kind)


async def test_store_restores_everything(rig: Rig) -> None:
    binary = bytes(range(256))
    async with rig.enter() as first:
        a = [rig.pending("a", name, payload=binary, topic="all/say") for name in ("kitchen", "study")]
        await first.put(a)
        await first.put([rig.pending("b", urgency=Urgency.CRITICAL, ttl=1800.0, due=5100.0)])
        first.set_setting("kitchen", "volume", 40)
        first.set_setting("kitchen", "mute", value=True)
        first.set_setting("kitchen", "dnd", 12.5)
        first.set_setting("kitchen", "mute", value=False)
        first.set_value("latency", "http", {"samples": [0.1, 0.2]})
        first.record(outcome("a"), text="Fire!", observers=["mqtt"])
        first.record(outcome("n", urgency=Urgency.NORMAL))
    async with rig.enter() as second:
        found = await second.snapshot()
        assert found.pending == tuple(second.pending.values())
        [left, b] = found.pending
        assert left == a[1]
        assert (b.id, b.urgency, b.due, b.expires, b.target) == ("b", "critical", 5100.0, 6800.0, "all")
        assert found.finished == {("kitchen", "a"): 5000.0, ("kitchen", "n"): 5000.0}
        assert second.settings("kitchen") == {"volume": 40, "mute": False, "dnd": 12.5}
        assert second.values("latency") == {"http": {"samples": [0.1, 0.2]}}
        assert found.undelivered == (("mqtt", outcome("a")),)
        [first_told, _] = read_history(rig.file, last=500)
        assert (first_told["id"], first_told["text"], first_told["spoken_s"]) == ("a", "Fire!", 3.1)
        assert "tag" not in first_told


async def test_only_finished_ids_are_duplicates(rig: Rig) -> None:
    async with rig.enter() as store:
        for name in ("finished", "expired", "cancelled"):
            await store.put([rig.pending(name)])
            store.record(outcome(name, event_type=name))
    async with rig.enter() as again:
        found = await again.snapshot()
        assert list(found.finished) == [("kitchen", "finished")]
        assert found.pending == ()
        assert len(told(rig)) == 3


async def test_id_waits_on_two_speakers_with_different_texts(rig: Rig) -> None:
    async with rig.enter() as first:
        await first.put([rig.pending("a", "kitchen", payload=b"one")])
        await first.put([rig.pending("a", "study", payload=b"two")])
        first.record(outcome("a", "study"))
    async with rig.enter() as second:
        assert [(row.payload, row.speaker) for row in second.pending.values()] == [(b"one", "kitchen")]


async def test_promises_share_a_sync_and_outcomes_need_none(rig: Rig) -> None:
    commits: list[int] = []
    async with rig.enter(connect=noting(commits)) as store:
        commits.clear()
        await asyncio.gather(*(store.put([rig.pending(f"a{number}")]) for number in range(200)))
        assert 1 <= len(commits) <= 4
        assert set(commits) == {2}  # FULL
        commits.clear()
        store.record(outcome("a0"))
        await store.flush()
        assert commits == [1]  # NORMAL
    async with rig.enter() as again:
        assert len(again.pending) == 199


async def test_put_waits_for_the_commit(rig: Rig) -> None:
    held = threading.Event()

    class Slow(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                held.wait(30)
            return super().execute(sql, *parameters)

    held.set()
    async with rig.enter(connect=lambda *a, **k: sqlite3.connect(*a, **k, factory=Slow)) as store:
        held.clear()
        saved = store.put([rig.pending("a")])
        later = store.put([rig.pending("b")])
        await asyncio.sleep(0.05)
        assert not saved.done()
        held.set()
        await asyncio.gather(saved, later)
        await store.flush()


async def test_a_cancelled_put_is_written_all_the_same(rig: Rig) -> None:
    async with rig.enter() as store:
        store.put([rig.pending("a")]).cancel()
        await store.put([rig.pending("b")])
    async with rig.enter() as again:
        assert ids(again) == ["a", "b"]


async def test_announcement_that_ends_on_arrival_is_not_kept(rig: Rig) -> None:
    async with rig.enter() as store:
        saved = store.put([rig.pending("a")])
        store.record(outcome("a"))
        await saved
    async with rig.enter() as again:
        assert ids(again) == []
        assert told(rig) == ["a"]


async def test_forgotten_rows_are_not_restored(rig: Rig) -> None:
    async with rig.enter() as store:
        rows = [rig.pending(name, urgency=Urgency.NORMAL) for name in "ab"]
        await store.put(rows)
        store.forget(rows[:1])
    async with rig.enter() as again:
        assert ids(again) == ["b"]


async def test_order_of_arrival_outlives_a_change(rig: Rig) -> None:
    async with rig.enter() as store:
        for name in "abc":
            rig.clocks.advance(1)
            await store.put([rig.pending(name)])
        store.reschedule("kitchen", "a", due=5001.0, expires=7000.0, held_since=5050.0)
    async with rig.enter() as again:
        assert ids(again) == ["a", "b", "c"]
        assert again.pending["kitchen", "a"].expires == 7000.0


async def test_undelivered_outcomes_are_bounded_and_go_once_delivered(rig: Rig) -> None:
    events = [outcome(f"a{number}") for number in range(MAX_UNDELIVERED + 50)]
    async with rig.enter() as store:
        for event in events:
            store.record(event, observers=["mqtt", "webhook"])
        await store.flush()
        for event in events[:-1]:
            store.delivered("webhook", event)
    async with rig.enter() as again:
        found = (await again.snapshot()).undelivered
        assert [event for name, event in found if name == "mqtt"] == events[50:]
        assert [event for name, event in found if name == "webhook"] == events[-1:]
        store.delivered("unknown", events[0])


async def test_outcome_and_outbox_share_a_transaction(rig: Rig) -> None:
    statements: list[str] = []

    def traced(*where: Any, **how: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(*where, **how)
        connection.set_trace_callback(statements.append)
        return connection

    async with rig.enter(connect=traced) as store:
        await store.put([rig.pending("a")])
        statements.clear()
        store.record(outcome("a"), observers=["mqtt"])
        await store.flush()
        words = [statement.split()[0] for statement in statements]
        assert words == ["PRAGMA", "BEGIN", "DELETE", "INSERT", "INSERT", "COMMIT"]


async def test_file_is_private(rig: Rig) -> None:
    async with rig.enter() as store:
        await store.put([rig.pending("a")])
        for file in rig.folder.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_file_stays_small_and_keeps_what_is_alive(rig: Rig) -> None:
    async with rig.enter() as store:
        store.set_setting("kitchen", "volume", 7)
        for number in range(3000):
            await store.put([rig.pending(f"a{number}", payload=b"x" * 300)])
            if number % 100:
                store.record(outcome(f"a{number}", at=outcome("").at), text="x" * 300)
            rig.clocks.advance(60)
        await store.flush()
        assert rig.file.stat().st_size < 2_000_000
        assert sum(file.stat().st_size for file in rig.folder.iterdir()) < 8_000_000
    async with rig.enter() as again:
        found = await again.snapshot()
        assert ids(again) == [f"a{number}" for number in range(0, 3000, 100)]
        assert 1400 < len(found.finished) < 1450
        assert len(told(rig)) == HISTORY
        assert told(rig)[-1] == "a2999"


@pytest.mark.parametrize(("messages", "most"), [(500, 10_000_000), (10_000, 100_000_000)])
async def test_a_day_of_messages_writes_little(rig: Rig, messages: int, most: int) -> None:
    def written() -> int:
        [line] = [line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("wchar")]
        return int(line.split()[1])

    async with rig.enter() as store:
        before = written()
        for number in range(messages):
            name, urgency = f"{number:012x}", Urgency.HIGH if number % 10 == 0 else Urgency.NORMAL
            if urgency is Urgency.HIGH:
                await store.put([rig.pending(name, payload=b"x" * 120)])
            store.record(outcome(name, urgency=urgency), text="x" * 120)
            await store.flush()
            rig.clocks.advance(DAY / messages)
    print(f"{messages} messages: {written() - before} bytes")
    assert written() - before < most


async def test_text_is_kept_only_if_told(rig: Rig) -> None:
    async with rig.enter() as store:
        store.record(outcome("a"), text="Dinner is ready.")
        store.record(outcome("b"))
    [a, b] = read_history(rig.file, last=2)
    assert a["text"] == "Dinner is ready."
    assert "text" not in b
