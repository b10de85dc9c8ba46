"""A repeated alert is said again and again until a user acknowledges it, on any node."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.house import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

ALERT = "d200z The freezer is open."
UNTIL_ACK = {"until_ack": True, "every": 5}


class OtherHouse(House):
    """A second node at the same broker, with speakers of its own."""

    def __init__(self, broker: Broker, **options: Any) -> None:
        super().__init__(broker, node="othernode", **options)

    async def connect(self) -> None:
        await super().connect()
        self.available = await self.client.collect("edgevoice/othernode/availability")


@asynccontextmanager
async def two_nodes(
    broker: Broker, lightning: LightningServer, **options: Any
) -> AsyncIterator[tuple[House, House]]:
    where = {"base_url": lightning.url}
    async with (
        House(broker, speakers={"kitchen": {"groups": ["both"]}}, lightning=where, **options) as here,
        OtherHouse(broker, speakers={"attic": {"groups": ["both"]}}, lightning=where, **options) as there,
    ):
        yield here, there


async def alert(house: House, *names: str, to: str = "kitchen", speaker: str = "kitchen") -> None:
    """Begin alerts that insist, and wait until each was heard once."""
    for name in names:
        await house.say(ALERT, to=to, id=name, repeat=UNTIL_ACK)
        await house.events.wait(
            lambda message, name=name: (
                message.json.get("id") == name
                and message.json["event_type"] == "started"
                and message.json["speaker"] == speaker
            )
        )


def acknowledged(outcome: dict[str, Any]) -> bool:
    return (outcome["event_type"], outcome["reason"]) == ("finished", "acknowledged")


@pytest.fixture
async def house(broker: Broker, lightning: LightningServer) -> AsyncIterator[House]:
    speakers = {"kitchen": {"groups": ["downstairs"]}, "hall": {"groups": ["downstairs"]}}
    async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
        yield house


@pytest.mark.parametrize("payload", ["", "PRESS", " \n"])
async def test_empty_ack_ends_every_alert_of_its_target(house: House, payload: str) -> None:
    await alert(house, "first", "second")
    await house.client.publish("edgevoice/kitchen/ack", payload)
    assert acknowledged(await house.outcome("first"))
    assert acknowledged(await house.outcome("second"))


async def test_ack_by_id_leaves_other_alerts(house: House) -> None:
    await alert(house, "first", "second")
    await house.client.publish("edgevoice/kitchen/ack", "first")
    assert acknowledged(await house.outcome("first"))
    assert "finished" not in house.steps("second")
    await house.events.wait(lambda m: m.json["id"] == "second" and m.json["round"] == 2)
    await house.client.publish("edgevoice/all/ack", "second")
    assert acknowledged(await house.outcome("second"))


async def test_ack_of_an_unknown_id_ends_nothing_and_is_rejected(house: House) -> None:
    await alert(house, "first")
    await house.client.publish("edgevoice/kitchen/ack", "another")
    rejection = await house.rejection()
    assert (rejection["target"], rejection["key"]) == ("kitchen", "payload")
    assert rejection["reason"] == "no repeating alert here has the id 'another'"
    await house.events.wait(lambda m: m.json["id"] == "first" and m.json["round"] == 2)
    await house.client.publish("edgevoice/kitchen/ack")
    assert acknowledged(await house.outcome("first"))


async def test_ack_on_one_speaker_ends_the_alert_on_all(house: House) -> None:
    await alert(house, "both", to="downstairs")
    await house.client.publish("edgevoice/hall/ack", "both")
    for speaker in ("kitchen", "hall"):
        assert acknowledged(await house.outcome("both", speaker=speaker))


async def test_ack_stops_a_critical_alert_at_once(broker: Broker, lightning: LightningServer) -> None:
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d20000z Fire in the cellar!", id="fire", urgency="critical", repeat=UNTIL_ACK)
        await house.step("fire", "started")
        await house.client.publish("edgevoice/kitchen/ack")
        outcome = await house.outcome("fire")
        assert acknowledged(outcome)
        assert outcome["spoken_s"] < 20


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_ack_on_one_node_ends_the_alert_on_all_nodes(
    broker: Broker, lightning: LightningServer, version: str
) -> None:
    mqtt = {"host": broker.host, "port": broker.port, "version": version}
    async with two_nodes(broker, lightning, mqtt=mqtt) as (here, there):
        told = await here.client.collect("edgevoice/all/ack")
        await alert(here, "a1", "a2", to="both")
        await there.events.wait(
            lambda m: m.json["id"] == "a2" and m.json["speaker"] == "attic" and m.json["round"] == 1
        )
        await here.client.publish("edgevoice/kitchen/ack", "a1")
        assert acknowledged(await here.outcome("a1", speaker="kitchen"))
        assert acknowledged(await there.outcome("a1", speaker="attic"))
        assert "finished" not in here.steps("a2")
        await here.client.publish("edgevoice/attic/ack")
        assert acknowledged(await here.outcome("a2", speaker="kitchen"))
        assert acknowledged(await there.outcome("a2", speaker="attic"))
        # What either node publishes after this comes after whatever they would have told once more.
        for house in (here, there):
            speaker = next(iter(house.speakers))
            assert (await house.said("d100z Quiet again.", to=speaker, id=speaker))["reason"] is None
        assert [message.payload for message in told.messages] == [b"a1", b"a2"]
        # An acknowledgement that is too late is no mistake, nor is one that the other node has told.
        await here.client.publish("edgevoice/kitchen/ack", "a1")
        await here.said("d100z Still quiet.", to="kitchen", id="last")
        for house in (here, there):
            assert "rejected" not in [message.json["event_type"] for message in house.events.messages]


async def test_name_conflict_of_two_nodes_is_a_fault(broker: Broker, lightning: LightningServer) -> None:
    where = {"base_url": lightning.url}
    async with House(broker, lightning=where) as here:
        states = await here.client.collect("edgevoice/kitchen/state")
        async with OtherHouse(broker, lightning=where):
            for one, other in (("testnode", "othernode"), ("othernode", "testnode")):
                await states.wait(
                    lambda m, one=one, other=other: (
                        f"speaker kitchen of node {one} is also claimed by node {other}"
                        in str(m.json["fault"])
                    )
                )
        states.messages.clear()
        assert (await here.said("d100z Alone again.", id="alone"))["event_type"] == "finished"
        await states.wait(lambda m: m.json["state"] == "idle" and m.json["fault"] is None)
