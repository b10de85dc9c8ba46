"""Volume, mute and do not disturb: set from outside, told as set, and what they do to what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.house import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.broker import Broker, Mailbox, Received
    from tests.support.lightning import LightningServer

TEXT = "d200z Told."
URGENT = "d200z Fire!"
ALLOWED = {"mute": "ON, OFF", "dnd": "minutes", "volume": "0 to 100"}


@pytest.fixture
async def house(broker: Broker, lightning: LightningServer) -> AsyncIterator[House]:
    speakers = {"kitchen": {"groups": ["downstairs"]}, "hall": {"groups": ["downstairs"]}}
    async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
        yield house


class Switches:
    """The switches of one speaker, as others see and set them."""

    def __init__(self, house: House, speaker: str = "kitchen") -> None:
        self._house = house
        self._speaker = speaker
        self._topics: dict[str, Mailbox] = {}

    async def listen(self) -> Switches:
        for what in ("volume", "mute", "dnd", "state"):
            self._topics[what] = await self._house.client.collect(f"edgevoice/{self._speaker}/{what}")
        return self

    async def set(self, what: str, value: str, *, to: str | None = None) -> None:
        """Set it, and forget what was told before."""
        self._topics[what].messages.clear()
        self._topics["state"].messages.clear()
        await self._house.client.publish(f"edgevoice/{to or self._speaker}/{what}/set", value)

    async def told(self, what: str, value: str, **state: object) -> Received:
        """Wait until the topic says `value` and the state agrees."""
        await self._topics["state"].wait(lambda message: state.items() <= message.json.items())
        return await self._topics[what].wait_for_payload(value)

    async def retained(self, what: str) -> bytes:
        """Return the state that a later subscriber sees."""
        mailbox = await self._house.client.collect(f"edgevoice/{self._speaker}/{what}")
        return (await mailbox.wait(lambda message: message.retained)).payload


async def test_volume_takes_numbers_and_steps(house: House) -> None:
    kitchen = await Switches(house).listen()
    await kitchen.told("volume", "100", volume=100)
    for value, result in (
        ("40", 40),
        ("+5", 45),
        ("-10", 35),
        ("0", 0),
        ("-5", 0),
        (" 97\n", 97),
        ("+50", 100),
    ):
        await kitchen.set("volume", value)
        if value != "-5":
            await kitchen.told("volume", str(result), volume=result)
    await kitchen.set("volume", "60")
    await kitchen.told("volume", "60", volume=60)
    assert await kitchen.retained("volume") == b"60"


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("volume", "101"),
        ("volume", "-0x5"),
        ("volume", "loud"),
        ("volume", "5.5"),
        ("volume", ""),
        ("volume", "1_0"),
        ("volume", "٤٠"),
        ("mute", "maybe"),
        ("mute", "2"),
        ("mute", ""),
        ("dnd", "-5"),
        ("dnd", "1e3"),
        ("dnd", "99999999999"),
        ("dnd", "²"),
        ("dnd", b"\xff"),
    ],
)
async def test_invalid_setting_is_rejected_with_allowed_values(
    house: House, what: str, value: str | bytes
) -> None:
    await house.client.publish(f"edgevoice/kitchen/{what}/set", value)
    rejection = await house.rejection()
    assert rejection["target"] == "kitchen"
    if isinstance(value, str):
        assert rejection["key"] == what
        assert ALLOWED[what] in rejection["allowed"]
    kitchen = await Switches(house).listen()
    await kitchen.told("volume", "100", volume=100, mute=False, dnd=False)


@pytest.mark.parametrize("what", ["mute", "dnd"])
async def test_switch_spellings(house: House, what: str) -> None:
    kitchen = await Switches(house).listen()
    await kitchen.told(what, "OFF", **{what: False})
    for on, off in (("ON", "OFF"), ("true", "FALSE"), ("1", "0"), (" oN\n", "oFf")):
        await kitchen.set(what, on)
        await kitchen.told(what, "ON", **{what: True})
        assert await kitchen.retained(what) == b"ON"
        await kitchen.set(what, off)
        await kitchen.told(what, "OFF", **{what: False})
    assert await kitchen.retained(what) == b"OFF"


async def test_setting_applies_to_group_or_speaker(house: House) -> None:
    kitchen, hall = await Switches(house).listen(), await Switches(house, "hall").listen()
    await kitchen.set("mute", "ON", to="downstairs")
    await kitchen.told("mute", "ON", mute=True)
    await hall.told("mute", "ON", mute=True)
    await hall.set("mute", "OFF")
    await hall.told("mute", "OFF", mute=False)
    assert await kitchen.retained("mute") == b"ON"


async def test_do_not_disturb_for_minutes(house: House) -> None:
    kitchen = await Switches(house).listen()
    await kitchen.set("dnd", "30")
    await kitchen.told("dnd", "ON", dnd=True)
    await house.say(TEXT, id="held")
    assert (await house.step("held", "held"))["reason"] is not None


@pytest.mark.parametrize("what", ["mute", "dnd"])
async def test_mute_and_dnd_hold_all_but_critical_for_the_digest(
    house: House, lightning: LightningServer, what: str
) -> None:
    kitchen = await Switches(house).listen()
    await kitchen.set(what, "ON")
    await kitchen.told(what, "ON", **{what: True})
    for urgency in ("low", "normal", "high"):
        await house.say(TEXT, id=urgency, urgency=urgency)
        await house.step(urgency, "held")
    assert (await house.said(URGENT, id="fire", urgency="critical"))["event_type"] == "finished"
    assert house.heard()[-4800:] == lightning.expected(URGENT)[-4800:]
    await kitchen.told(what, "ON", held=3)
    await house.client.publish("edgevoice/kitchen/digest", "PRESS")
    for urgency in ("low", "normal", "high"):
        outcome = await house.outcome(urgency)
        assert (outcome["event_type"], outcome["reason"]) == ("finished", "digest")
    await kitchen.told(what, "ON", held=0)


async def test_volume_is_applied_with_a_floor_for_critical(house: House, lightning: LightningServer) -> None:
    kitchen = await Switches(house).listen()
    await kitchen.set("volume", "50")
    await kitchen.told("volume", "50", volume=50)
    assert (await house.said(TEXT, id="half"))["volume"] == 50
    half = np.frombuffer(house.heard(), np.int16).astype(float)
    whole = np.frombuffer(lightning.expected(TEXT), np.int16).astype(float)
    assert len(half) == len(whole)
    ratio = np.abs(half).mean() / np.abs(whole).mean()
    assert 0 < ratio < 0.9
    assert np.corrcoef(half, whole)[0, 1] > 0.999
    assert (await house.said(URGENT, id="fire", urgency="critical"))["volume"] == 70


async def test_retained_setting_is_ignored(broker: Broker, lightning: LightningServer) -> None:
    # A client id that the broker keeps no session for: such a session would have got it as news.
    mqtt = {"host": broker.host, "port": broker.port, "version": "3.1.1", "client_id": "never-seen"}
    house = House(broker, lightning={"base_url": lightning.url}, mqtt=mqtt)
    await house.connect()
    try:
        await house.client.publish("edgevoice/kitchen/mute/set", "ON", retain=True)
        house.begin()
        await house.online()
        assert (await house.rejection())["reason"] == "retained"
        assert (await house.said(TEXT, id="said"))["event_type"] == "finished"
    finally:
        await house.client.publish("edgevoice/kitchen/mute/set", "", retain=True)
        await house.__aexit__()
