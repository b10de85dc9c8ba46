"""The broker may come late and go at any time: what is being said is said, and what comes next is heard."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from edgevoice_plugins.mqtt import source
from edgevoice_plugins.mqtt.options import Timeouts
from tests.support.broker import Broker, MqttClient
from tests.support.house import House
from tests.support.mqtt_client import NO_SUBSCRIBERS
from tests.support.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.lightning import LightningServer

SAID = "d2500z Said while the broker was killed."
NEXT = "d200z Said when it was back."
RETAINED = "d200z Never said."


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker of this test, to be killed."""
    with Broker() as broker:
        yield broker


@contextmanager
def logged(text: str) -> Iterator[asyncio.Event]:
    """Set when a line with this text is logged."""
    found = asyncio.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                found.set()

    watch = Watch()
    logging.getLogger().addHandler(watch)
    yield found
    logging.getLogger().removeHandler(watch)


async def come_back(house: House, *retained: str) -> None:
    """Start the broker again, with something retained without a subscriber yet."""
    await asyncio.to_thread(house.broker.start)
    await house.client.__aexit__()
    await house.connect()
    for asked in retained:
        code = await house.client.publish(f"edgevoice/kitchen/{asked}", RETAINED, retain=True)
        assert code == NO_SUBSCRIBERS
    await house.online()


async def test_daemon_connects_to_a_late_broker(broker: Broker, lightning: LightningServer) -> None:
    async with MqttClient(broker) as sender:
        await sender.publish("edgevoice/kitchen/say", RETAINED, retain=True)
    broker.stop()
    house = House(broker, lightning={"base_url": lightning.url})
    with logged("no broker listens") as tried:
        house.begin()
        async with asyncio.timeout(15):
            await tried.wait()
    broker.start()
    await house.connect()
    try:
        await house.online()
        assert (await house.said(NEXT))["event_type"] == "finished"
        assert house.heard() == lightning.expected(NEXT)
    finally:
        await house.__aexit__()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_playback_survives_broker_loss(
    broker: Broker, lightning: LightningServer, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The retained messages must be there before the daemon is back.
    monkeypatch.setattr(source, "Timeouts", partial(Timeouts, retry_first_s=3.0))
    mqtt = {"host": broker.host, "port": broker.port, "version": version}
    async with House(broker, pace=True, lightning={"base_url": lightning.url}, mqtt=mqtt) as house:
        await house.say(SAID, id="said")
        await house.step("said", "started")
        await asyncio.to_thread(broker.stop, signal.SIGKILL)
        await come_back(house, "say", "say/critical", "stream/live")
        outcome = await house.outcome("said")
        assert (outcome["event_type"], outcome["spoken_s"], outcome["attempts"]) == ("finished", 2.5, [])
        assert (await house.said(NEXT))["event_type"] == "finished"
        assert house.heard() == lightning.expected(SAID) + lightning.expected(NEXT)
        assert [asked.text for asked in lightning.requests] == [SAID, NEXT]


async def test_live_text_cut_off_by_broker_loss_ends(broker: Broker, lightning: LightningServer) -> None:
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.client.publish("edgevoice/kitchen/stream/live", "d300z As far as it came. ")
        await house.step("live", "started")
        await asyncio.to_thread(broker.stop, signal.SIGKILL)
        await come_back(house)
        assert (await house.said(NEXT))["event_type"] == "finished"
        assert house.heard() == lightning.expected("d300z As far as it came. ") + lightning.expected(NEXT)


async def test_sound_card_playback_survives_broker_loss(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        speakers = {"kitchen": {"output": "sound_card"}}
        async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
            await house.say(SAID, id="said")
            await house.step("said", "started")
            await asyncio.to_thread(broker.stop, signal.SIGKILL)
            assert await pulse.until(lambda: pulse.without_silence() == lightning.expected(SAID))
            await come_back(house)
            assert (await house.said(NEXT))["event_type"] == "finished"
            both = lightning.expected(SAID) + lightning.expected(NEXT)
            assert await pulse.until(lambda: pulse.without_silence() == both)
