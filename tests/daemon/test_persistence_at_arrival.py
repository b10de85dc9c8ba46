"""The stored state of an announcement that ends or is known at its arrival."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.child import ChildHouse
from tests.support.dropin import dropin

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

TEXT = "d2000z Nobody gave it a name."
#: Delivers once more what the daemon was killed over before it could acknowledge it.
AGAIN = """
import asyncio

from edgevoice import Source, hookimpl
from edgevoice.commands import Say

class Again(Source):
    async def listen(self, submit):
        if (self.context.state_dir / "again").exists():
            submit(Say(target="kitchen", payload=TEXT, urgency="high", redelivered=True))
        await asyncio.Event().wait()  # a source that returns is started again

@hookimpl
def edgevoice_register(register):
    register.source("again", Again)
"""


def house_of(broker: Broker, lightning: LightningServer, **sections: str) -> ChildHouse:
    speakers = {"kitchen": {"pace": True}}
    return ChildHouse(broker, speakers=speakers, lightning={"base_url": lightning.url}, **sections)


async def restarted(house: ChildHouse) -> list[tuple[str, str]]:
    """Kill it and start it again; all ids and steps up to the end of one that comes last."""
    # By the end of this the broker knows that it need not deliver those before once more.
    await house.said("d300z Meanwhile.", id="meanwhile")
    await house.leave(signal.SIGKILL)
    house.events.messages.clear()
    await house.again()
    await house.said("d100z The last one.", id="last", urgency="critical")
    return [(message.json["id"], message.json["event_type"]) for message in house.events.messages]


async def test_duplicate_of_a_finished_announcement_is_not_stored(
    broker: Broker, lightning: LightningServer
) -> None:
    async with house_of(broker, lightning) as house:
        await house.said("d100z Once.", id="once", urgency="high")
        await house.say("d100z Once.", id="once", urgency="high")
        await house.step("once", "duplicate")
        assert ("once", "duplicate") not in await restarted(house)


async def test_coalesced_alarm_is_not_stored(broker: Broker, lightning: LightningServer) -> None:
    async with house_of(broker, lightning) as house:
        await house.say("d9000z Fire!", id="first", urgency="critical", tag="fire")
        await house.step("first", "started")
        await house.say("d9000z Fire!", id="second", urgency="critical", tag="fire")
        assert (await house.outcome("second"))["event_type"] == "replaced"
        await house.client.publish("edgevoice/kitchen/stop", "first")
        await house.outcome("first")
        assert ("second", "queued") not in await restarted(house)


async def test_redelivery_without_id_after_a_crash_is_a_duplicate(
    broker: Broker, lightning: LightningServer, tmp_path: Path
) -> None:
    plugins = dropin(tmp_path / "plugins", again=AGAIN.replace("TEXT", repr(TEXT.encode())))
    async with house_of(broker, lightning, plugins_dir=str(plugins)) as house:
        await house.client.publish("edgevoice/kitchen/say/high", TEXT)
        started = await house.events.wait(lambda told: told.json["event_type"] == "started")
        (house.folder / "again").touch()
        await house.leave(signal.SIGKILL)
        await house.again()
        await house.step(started.json["id"], "duplicate")
        await house.outcome(started.json["id"])
        assert {told.json["id"] for told in house.events.messages} == {started.json["id"]}
