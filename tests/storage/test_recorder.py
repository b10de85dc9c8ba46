"""The effect of events on the store and the observers: outcomes, texts, deadlines and settings."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from edgevoice import Observer, Rejection, SpeakerState, Urgency
from edgevoice.announcement import RepeatPolicy
from edgevoice.scheduler.queue import QueueItem
from edgevoice.storage.database import read_history
from edgevoice.storage.recorder import Recorder
from edgevoice.storage.store import Store
from tests.support.announcements import announcement
from tests.support.stores import outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Heard(Observer):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_event(self, event: Any, origin: object) -> None:
        self.told.append((event, origin))

    def on_state(self, speaker: Any, state: Any) -> None:
        self.told.append((speaker, state))

    def on_rejected(self, rejection: Any, origin: object) -> None:
        self.told.append((rejection, origin))


class Raises(Heard):
    def on_event(self, event: Any, origin: object) -> None:
        raise RuntimeError("no ears")

    on_state = on_rejected = on_event


class Durable(Heard):
    durable = True


@pytest.fixture
async def kitchen(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    observers = {"plain": Heard(), "durable": Durable()}
    async with Store(tmp_path, fault=lambda _part, _sentence: None) as store:
        recorder = Recorder(store, observers)
        yield SimpleNamespace(store=store, recorder=recorder, file=tmp_path / "edgevoice.db", **observers)


def item_of(name: str, **more: Any) -> QueueItem:
    return QueueItem(announcement(id=name, **more), is_internal=False, sequence=1, volume=50)


async def test_outcome_is_stored_and_told(kitchen: SimpleNamespace) -> None:
    origin = object()
    item = item_of("a", urgency=Urgency.HIGH, origin=origin)
    await kitchen.recorder.persist(item.announcement, b"Fire!", ["kitchen", "study"])
    assert list(kitchen.store.pending) == [("kitchen", "a"), ("study", "a")]
    kitchen.recorder.on_event(outcome("a"), item)
    assert list(kitchen.store.pending) == [("study", "a")]
    assert kitchen.plain.told == kitchen.durable.told == [(outcome("a"), origin)]


async def test_all_observers_are_told_whatever_one_of_them_does(
    kitchen: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    first, last, origin = Heard(), Heard(), object()
    recorder = Recorder(kitchen.store, {"first": first, "broken": Raises(), "last": last})
    event, state = outcome("a1", event_type="queued"), SpeakerState()
    rejection = Rejection(node="n", at=datetime.now(UTC), target=None, reason="r")
    recorder.on_event(event, item_of("a1", origin=origin))
    recorder.on_state("kitchen", state)
    recorder.on_rejected(rejection, None)
    assert first.told == last.told == [(event, origin), ("kitchen", state), (rejection, None)]
    assert caplog.text.count("observer broken failed; the others run on") == 3


@pytest.mark.parametrize(("urgency", "kept"), [("normal", 0), ("high", 1), ("critical", 1)])
async def test_only_urgent_outcomes_wait_for_delivery(
    kitchen: SimpleNamespace, urgency: str, kept: int, tmp_path: Path
) -> None:
    kitchen.recorder.on_event(outcome("a", urgency=Urgency(urgency)), item_of("a"))
    await kitchen.store.__aexit__()
    async with Store(tmp_path, fault=lambda _part, _sentence: None) as again:
        assert [name for name, _ in (await again.snapshot()).undelivered] == ["durable"] * kept


async def test_text_is_kept_unless_private_or_switched_off(kitchen: SimpleNamespace) -> None:
    kitchen.recorder.on_event(outcome("open"), item_of("open", text="Dinner."))
    kitchen.recorder.on_event(outcome("private"), item_of("private", text="Dinner.", private=True))
    Recorder(kitchen.store, {}, has_texts=False).on_event(outcome("off"), item_of("off", text="Dinner."))
    await kitchen.store.flush()
    told = {one["id"]: one.get("text") for one in read_history(kitchen.file, last=9)}
    assert told == {"open": "Dinner.", "private": None, "off": None}


async def test_begun_item_may_wait_its_ttl_again(kitchen: SimpleNamespace) -> None:
    now = asyncio.get_running_loop().time()
    item = item_of("a", urgency=Urgency.HIGH, received_monotonic=now - 500, ttl=600.0)
    await kitchen.recorder.persist(item.announcement, b"Fire!", ["kitchen"])
    kitchen.recorder.on_event(outcome("a", event_type="duplicate"), item_of("a"))
    assert kitchen.store.pending["kitchen", "a"].expires == pytest.approx(now + 100)
    item.start_sounding(now)
    kitchen.recorder.on_event(outcome("a", event_type="started"), item)
    assert kitchen.store.pending["kitchen", "a"].expires == pytest.approx(now + 600, abs=5)


async def test_a_repeating_alert_outlives_the_pause_between_two_rounds(kitchen: SimpleNamespace) -> None:
    now = asyncio.get_running_loop().time()
    item = item_of(
        "a", urgency=Urgency.HIGH, received_monotonic=now, ttl=60.0, repeat=RepeatPolicy(every_s=3600.0)
    )
    await kitchen.recorder.persist(item.announcement, b"Fire!", ["kitchen"])
    item.start_sounding(now)
    kitchen.recorder.on_event(outcome("a", event_type="started"), item)
    assert kitchen.store.pending["kitchen", "a"].expires > now + 3600


async def test_held_items_stop_their_ttl(kitchen: SimpleNamespace) -> None:
    now = asyncio.get_running_loop().time()
    item = item_of("a", urgency=Urgency.HIGH, received_monotonic=now, ttl=60.0)
    await kitchen.recorder.persist(item.announcement, b"Fire!", ["kitchen"])
    item.hold(now)
    kitchen.recorder.on_event(outcome("a", event_type="held"), item)
    row = kitchen.store.pending["kitchen", "a"]
    assert (row.held_since, row.expires) == (now, pytest.approx(now + 60))


async def test_keep_stores_what_was_not_stored_before(kitchen: SimpleNamespace) -> None:
    now = asyncio.get_running_loop().time()
    item = item_of("a", received_monotonic=now, ttl=60.0)
    kitchen.recorder.keep_for_restart("kitchen", item, b"Hello.")
    kitchen.recorder.keep_for_restart("kitchen", item, b"not this")
    row = kitchen.store.pending["kitchen", "a"]
    assert (row.payload, row.urgency, row.expires) == (b"Hello.", "normal", pytest.approx(now + 60))


@pytest.mark.parametrize(("lasts_s", "stored"), [(0.0, False), (math.inf, True), (600.0, 1_000_600.0)])
async def test_settings_are_stored_one_by_one(
    kitchen: SimpleNamespace, lasts_s: float, stored: object
) -> None:
    recorder = Recorder(kitchen.store, {}, now=lambda: 1_000_000.0)
    until = asyncio.get_running_loop().time() + lasts_s if lasts_s else 0.0
    settings: Any = SimpleNamespace(volume=40, mute=True, dnd_until=until)
    recorder.on_setting("kitchen", "dnd", settings)
    assert kitchen.store.settings("kitchen") == {"dnd": pytest.approx(stored, abs=5)}
    recorder.on_setting("kitchen", "volume", settings)
    assert kitchen.store.settings("kitchen")["volume"] == 40
