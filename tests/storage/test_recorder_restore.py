"""Recovery returns the state of an earlier process once, whenever the database can be read."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from edgevoice import Observer, Urgency
from edgevoice.storage.recorder import Recorder
from edgevoice.storage.schema import DEDUPLICATION_S
from edgevoice.storage.store import Store
from tests.support.stores import outcome, pending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edgevoice.storage.schema import PendingAnnouncement

NOW = 1_000_000.0


class Speaker:
    def __init__(self) -> None:
        self.settings = SimpleNamespace(volume=100)
        self.restored: dict[str, Any] = {}
        self.finished: dict[str, float] = {}

    def restore_settings(self, **settings: Any) -> None:
        self.restored = settings

    def restore_finished(self, until: dict[str, float]) -> None:
        self.finished = dict(until)


class Durable(Observer):
    durable = True

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_event(self, event: Any, origin: object) -> None:
        self.told.append(event)


def store_in(folder: Path) -> Store:
    return Store(folder, fault=lambda _part, _sentence: None)


@asynccontextmanager
async def recovered(folder: Path, *readable: str) -> AsyncIterator[SimpleNamespace]:
    """Start with the speakers kitchen and study; only the ids of `readable` can be read."""
    speakers: Any = {"kitchen": Speaker(), "study": Speaker()}
    rows: list[list[PendingAnnouncement]] = []
    durable, plain = Durable(), Durable()
    plain.durable = False

    def restore(group: Any) -> list[str]:
        rows.append(list(group))
        known = [row.speaker for row in group if row.speaker in speakers]
        return known if group[0].id in readable else []

    async with store_in(folder) as store:
        recorder = Recorder(store, {"durable": durable, "plain": plain}, now=lambda: NOW)
        await recorder.restore(speakers, restore)
        await recorder.restore(speakers, restore)
        yield SimpleNamespace(store=store, rows=rows, told=durable.told, plain=plain.told, **speakers)


async def test_announcement_is_restored_once_for_all_speakers(tmp_path: Path) -> None:
    now = asyncio.get_running_loop().time()
    async with store_in(tmp_path) as store:
        await store.put([pending("a", name, now) for name in ("kitchen", "study")])
        await store.put([pending("b", "kitchen", now)])
        await store.put([pending("b", "study", now, payload=b"Another text of this id.")])
    async with recovered(tmp_path, "a", "b") as house:
        assert [[(row.id, row.speaker) for row in group] for group in house.rows] == [
            [("a", "kitchen"), ("a", "study")],
            [("b", "kitchen")],
            [("b", "study")],
        ]
        assert len(house.store.pending) == 4


async def test_unplayable_recovered_announcement_fails(tmp_path: Path) -> None:
    now = asyncio.get_running_loop().time()
    async with store_in(tmp_path) as store:
        await store.put([pending("a", name, now) for name in ("kitchen", "attic")])
        await store.put([pending("b", "kitchen", now, payload=b"{")])
    async with recovered(tmp_path, "a") as house:
        told = {(event.id, event.speaker): (event.event_type, event.reason) for event in house.told}
        assert told == {
            ("a", "attic"): ("failed", "unknown speaker"),
            ("b", "kitchen"): ("failed", "unreadable"),
        }
        assert all(event.repeated for event in house.told)
        assert list(house.store.pending) == [("kitchen", "a")]


async def test_low_and_normal_are_in_memory_only_once_restored(tmp_path: Path) -> None:
    now = asyncio.get_running_loop().time()
    async with store_in(tmp_path) as store:
        for urgency in Urgency:
            await store.put([pending(urgency, "kitchen", now, urgency=urgency)])
    async with recovered(tmp_path, *Urgency) as house:
        assert len(house.rows) == 4
        assert [row.id for row in house.store.pending.values()] == ["high", "critical"]
    async with recovered(tmp_path, *Urgency) as again:
        assert len(again.rows) == 2


async def test_settings_and_finished_ids_are_restored(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        store.set_setting("kitchen", "volume", 40)
        store.set_setting("kitchen", "dnd", NOW + 600)
        store.set_setting("study", "mute", value=True)
        store.set_setting("study", "dnd", value=True)
        store.record(outcome("a"))
        store.record(outcome("b", event_type="failed"))
    async with recovered(tmp_path) as house:
        now = asyncio.get_running_loop().time()
        dnd_until = house.kitchen.restored.pop("dnd_until")
        assert abs(dnd_until - now - 600) < 5
        assert house.kitchen.restored == {"volume": 40, "mute": False}
        assert house.study.restored == {"volume": 100, "mute": True, "dnd_until": math.inf}
        assert list(house.kitchen.finished) == ["a"]
        assert abs(house.kitchen.finished["a"] - now - DEDUPLICATION_S) < 5
        assert house.study.finished == {}


async def test_undelivered_outcomes_are_told_again_to_whoever_still_wants_them(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        store.record(outcome("a"), observers=["durable", "plain", "gone"])
    async with recovered(tmp_path) as house:
        [event] = house.told
        assert (event.id, event.repeated) == ("a", True)
        assert house.plain == []
    async with recovered(tmp_path) as again:
        assert len(again.told) == 1
        again.store.delivered("durable", again.told[0])
    async with store_in(tmp_path) as store:
        assert (await store.snapshot()).undelivered == ()
