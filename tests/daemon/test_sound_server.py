"""The sound server may die, freeze or not be there yet: the daemon lives, and the next announcement is heard."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psutil

from tests.support.house import House
from tests.support.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

SPEAKERS = {"kitchen": {"output": "sound_card"}}
LONG = "d2500z Said while the sound server goes."
NEXT = "d700z Said when it is back."


def card_process() -> int:
    """The process that has the card now."""
    children = psutil.Process().children()
    (pid,) = [child.pid for child in children if "edgevoice_plugins.sound_card_child" in child.cmdline()]
    return int(pid)


@asynccontextmanager
async def a_loop_that_lives() -> AsyncIterator[None]:
    """Fails if the event loop stood still for 0.5 s meanwhile; a blocked one stands for seconds."""
    late = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await asyncio.sleep(0.01)
            late.append(loop.time() - asked)

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    assert max(late) < 0.5


async def state(house: House, **wanted: Any) -> dict[str, Any]:
    """The first state of the kitchen in which all that is wanted holds."""
    states = await house.client.collect("edgevoice/kitchen/state")
    found = await states.wait(lambda message: wanted.items() <= message.json.items(), within=30)
    return dict(found.json)


async def until_begun(house: House, pulse: Pulse, pcm: bytes) -> None:
    await house.step("long", "started")
    assert await pulse.until(lambda: pcm[:9600] in pulse.captured())


@asynccontextmanager
async def saying_a_long_one(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[House, Pulse, int]]:
    """A daemon in the middle of the long one: its house, its sound server, and the process that has the card."""
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        async with House(broker, speakers=SPEAKERS, lightning={"base_url": lightning.url}) as house:
            before = card_process()
            await house.say(LONG, id="long")
            await until_begun(house, pulse, lightning.expected(LONG))
            yield house, pulse, before


async def test_killed_sound_server_is_reconnected(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with saying_a_long_one(broker, lightning, monkeypatch) as (house, pulse, before):
        async with a_loop_that_lives():
            await asyncio.to_thread(pulse.kill)
            await asyncio.to_thread(pulse.start)
            await both_are_heard(house, pulse, lightning)
        assert card_process() != before
        assert (await house.outcome("long"))["spoken_s"] == 2.5
        assert [asked.text for asked in lightning.requests] == [LONG, NEXT]


async def test_frozen_sound_server_is_a_fault_until_it_continues(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        saying_a_long_one(broker, lightning, monkeypatch) as (house, pulse, before),
        a_loop_that_lives(),
    ):
        pulse.freeze()
        assert "(default)" in (await state(house, state="fault"))["fault"]
        assert not psutil.pid_exists(before)
        pulse.thaw()
        await both_are_heard(house, pulse, lightning)


async def test_frozen_sound_server_works_after_its_restart(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        saying_a_long_one(broker, lightning, monkeypatch) as (house, pulse, before),
        a_loop_that_lives(),
    ):
        pulse.freeze()
        assert await pulse.until(lambda: not psutil.pid_exists(before))
        await asyncio.to_thread(pulse.kill)
        await asyncio.to_thread(pulse.start)
        await both_are_heard(house, pulse, lightning)


async def both_are_heard(house: House, pulse: Pulse, lightning: LightningServer) -> None:
    """The playing announcement goes on to its end, and the next announcement is heard whole."""
    assert (await house.outcome("long"))["event_type"] == "finished"
    assert (await house.said(NEXT))["event_type"] == "finished"
    assert await pulse.until(lambda: pulse.without_silence().endswith(lightning.expected(NEXT)))
    rest = pulse.without_silence().removesuffix(lightning.expected(NEXT))
    assert rest.startswith(lightning.expected(LONG)[:9600])
    assert rest.endswith(lightning.expected(LONG)[-24000:])
    assert (await state(house, state="idle"))["fault"] is None


async def test_daemon_stops_in_time_with_a_frozen_sound_server(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        async with House(broker, speakers=SPEAKERS, lightning={"base_url": lightning.url}) as house:
            await house.say(LONG, id="long")
            await until_begun(house, pulse, lightning.expected(LONG))
            pulse.freeze()
            async with asyncio.timeout(8):
                await house.leave()
            outcome = await house.outcome("long")
            assert (outcome["event_type"], outcome["reason"]) == ("failed", "restart")
            await house.available.wait_for_payload("offline")


async def test_missing_sound_card_is_a_fault_until_it_appears(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        await asyncio.to_thread(pulse.kill)
        async with House(broker, speakers=SPEAKERS, lightning={"base_url": lightning.url}) as house:
            fault = (await state(house, state="fault"))["fault"]
            assert all(
                word in fault for word in ("no sound card", "`edgevoice devices`", "`output: wav_file`")
            )
            await house.say(NEXT, id="next")
            await house.step("next", "queued")
            await asyncio.to_thread(pulse.start)
            assert (await house.outcome("next"))["event_type"] == "finished"
            assert await pulse.hears(lightning.expected(NEXT))
            assert (await state(house, state="idle"))["fault"] is None


async def test_fault_of_unknown_device_lists_devices(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        speakers = {"kitchen": {"output": "sound_card", "device": "Cellar"}, "hall": {"output": "sound_card"}}
        async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
            fault = (await state(house, state="fault"))["fault"]
            assert all(word in fault for word in ("'Cellar'", "'pulse'", "'Attic-Speaker'", "wav_file"))
            assert (await house.said(NEXT, to="hall"))["event_type"] == "finished"
            assert await pulse.hears(lightning.expected(NEXT))
