"""What is kept of an announcement that ends, is held or is known in the moment in which it arrives."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.child import ChildHouse

if TYPE_CHECKING:
    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer


def house_of(broker: Broker, lightning: LightningServer) -> ChildHouse:
    speakers = {"kitchen": {"pace": True}}
    return ChildHouse(broker, speakers=speakers, lightning={"base_url": lightning.url}, digest="off")


async def restarted(house: ChildHouse) -> list[tuple[str, str]]:
    """Kill it and start it again; all ids and steps up to the end of one that comes last."""
    await house.leave(signal.SIGKILL)
    house.events.messages.clear()
    await house.again()
    await house.said("d100z The last one.", id="last", urgency="critical")
    return [(message.json["id"], message.json["event_type"]) for message in house.events.messages]


async def test_a_duplicate_of_what_finished_is_not_kept(broker: Broker, lightning: LightningServer) -> None:
    async with house_of(broker, lightning) as house:
        await house.said("d100z Once.", id="once", urgency="high")
        await house.say("d100z Once.", id="once", urgency="high")
        await house.step("once", "duplicate")
        assert ("once", "duplicate") not in await restarted(house)


async def test_what_joins_the_alarm_that_is_being_said_is_not_kept(
    broker: Broker, lightning: LightningServer
) -> None:
    async with house_of(broker, lightning) as house:
        await house.say("d9000z Fire!", id="first", urgency="critical", tag="fire")
        await house.step("first", "started")
        await house.say("d200z Fire!", id="second", urgency="critical", tag="fire")
        assert (await house.outcome("second"))["event_type"] == "replaced"
        await house.client.publish("edgevoice/kitchen/stop", "first")
        await house.outcome("first")
        assert ("second", "queued") not in await restarted(house)


async def test_what_was_held_at_once_does_not_grow_stale_over_a_restart(
    broker: Broker, lightning: LightningServer
) -> None:
    async with house_of(broker, lightning) as house:
        await house.client.publish("edgevoice/kitchen/mute/set", "ON")
        await house.say("d100z Held.", id="held", urgency="high", ttl=1)
        await house.step("held", "held")
        await house.said("d1500z Time goes by.", id="fire", urgency="critical")
        assert ("held", "held") in await restarted(house)
        await house.client.publish("edgevoice/kitchen/mute/set", "OFF")
        assert (await house.outcome("held"))["event_type"] == "finished"
