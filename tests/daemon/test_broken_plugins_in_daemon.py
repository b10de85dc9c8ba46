"""Plugins of others that break: told, passed over, begun again, and never the end of the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.dropped import BEEP, LISTENER, Dropped

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer


@pytest.fixture
def plugins(tmp_path: Path) -> Dropped:
    return Dropped(tmp_path)


RAISING_OBSERVER = """
class Nosy(Observer):
    told = 0
    def on_event(self, event, origin):
        Nosy.told += 1
        raise {error}
    def on_state(self, speaker, state):
        raise {error}
    def on_rejected(self, rejection, origin):
        raise {error}
    async def run(self):
        raise {error}

def registers(register):
    register.observer("a_nosy_one", Nosy)
"""


@pytest.mark.parametrize("error", ["RuntimeError('nosy')", "SystemExit(3)"])
async def test_raising_observer_is_isolated(
    broker: Broker, lightning: LightningServer, plugins: Dropped, error: str
) -> None:
    plugins.drop("nosy", RAISING_OBSERVER.format(error=error))
    async with plugins.house(broker, lightning) as house:
        assert (await house.said("d100z", id="a"))["event_type"] == "finished"
        await house.client.publish("edgevoice/kitchen/say", "")
        assert (await house.rejection())["key"] == "text"
        assert (await house.said("d100z", id="b"))["event_type"] == "finished"
        assert house.steps("a") == house.steps("b") == ["queued", "started", "finished"]
        assert house.heard() == lightning.expected("d100z") * 2
        assert plugins.module("nosy").Nosy.told == 6


FALLING_SOURCE = """
class Falls(Source):
    begun = 0
    async def listen(self, submit):
        Falls.begun += 1
        submit(Say(target="kitchen", payload=b"d100z Try %d." % Falls.begun))
        if Falls.begun < 3:
            raise OSError("fell over")
        await asyncio.Event().wait()

def registers(register):
    register.source("falls", Falls)
"""


async def test_failed_source_is_restarted_and_others_run_on(
    broker: Broker, lightning: LightningServer, plugins: Dropped, caplog: pytest.LogCaptureFixture
) -> None:
    plugins.drop("falls", FALLING_SOURCE)
    async with plugins.house(broker, lightning) as house:
        assert (await house.said("d100z From another.", id="other"))["event_type"] == "finished"
        await lightning.until(lambda: len(lightning.requests) == 4)
        asked = [asked.text for asked in lightning.requests if "Try" in asked.text]
        assert asked == ["d100z Try 1.", "d100z Try 2.", "d100z Try 3."]
        assert caplog.text.count("falls failed; it is started again") == 2
        assert "fell over" in caplog.text


UNMADE = """
class Unmade{kind}({kind}):
    {where}
        raise RuntimeError("not today")
    {rest}

def registers(register):
    register.{what}("unmade", Unmade{kind})
"""
IN_CONSTRUCTOR = "def __init__(self, *anything):"
ON_ENTRY = "async def __aenter__(self):"


@pytest.mark.parametrize("where", [IN_CONSTRUCTOR, ON_ENTRY])
@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        ("Transport", "async def synthesize(self, request): yield b''"),
        ("Source", "async def listen(self, submit): pass"),
        ("Observer", ""),
    ],
)
async def test_plugin_that_cannot_start_is_a_fault(
    broker: Broker, lightning: LightningServer, plugins: Dropped, kind: str, rest: str, where: str
) -> None:
    name = f"unmade_{kind.lower()}_{where == ON_ENTRY}"
    plugins.drop(name, UNMADE.format(kind=kind, where=where, rest=rest, what=kind.lower()))
    async with plugins.house(broker, lightning) as house:
        states = await house.client.collect("edgevoice/kitchen/state")
        state = (await states.wait(lambda message: message.json["fault"])).json
        assert state["state"] == "idle"
        assert "unmade" in state["fault"]
        assert "not today" in state["fault"]
        outcome = await house.said("d100z")
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "http")
        if kind == "Transport":
            await house.say("d100z", transport="unmade")
            rejection = await house.rejection()
            assert rejection["key"] == "transport"
            assert set(rejection["allowed"].split(", ")) == {"http", "http_stream", "local", "websocket"}


@pytest.mark.parametrize("where", [IN_CONSTRUCTOR, ON_ENTRY])
async def test_output_that_cannot_start_is_a_fault_of_its_speaker(
    broker: Broker, lightning: LightningServer, plugins: Dropped, where: str
) -> None:
    rest = "async def play(self, audio, rate, progress): pass"
    name = f"unmade_output_{where == ON_ENTRY}"
    plugins.drop(name, UNMADE.format(kind="Output", where=where, rest=rest, what="output"))
    speakers = {"attic": {"output": "unmade"}, "kitchen": {}}
    async with plugins.house(broker, lightning, speakers=speakers) as house:
        states = await house.client.collect("edgevoice/attic/state")
        state = (await states.wait(lambda message: message.json["state"] == "fault")).json
        assert "not today" in state["fault"]
        await house.say("d100z", to="all", id="a", ttl=1)
        assert (await house.outcome("a", speaker="kitchen"))["event_type"] == "finished"
        assert (await house.outcome("a", speaker="attic"))["event_type"] in {"failed", "expired"}
        assert house.heard() == lightning.expected("d100z")


async def test_output_with_a_failing_probe_is_a_fault_until_it_plays(
    broker: Broker, lightning: LightningServer, plugins: Dropped
) -> None:
    text = LISTENER.replace(
        "async def probe(self):\n        pass", "async def probe(self):\n        raise KeyError('oops')"
    )
    plugins.drop("odd_listener", text.replace('"listener"', '"odd"'))
    async with plugins.house(broker, lightning, speakers={"kitchen": {"output": "odd"}}) as house:
        states = await house.client.collect("edgevoice/kitchen/state")
        state = (await states.wait(lambda message: message.json["state"] == "fault")).json
        assert "KeyError" in state["fault"]
        assert (await house.said("d100z"))["event_type"] == "finished"
        await states.wait(lambda message: message.json["fault"] is None)


async def test_transport_with_an_unexpected_error_is_skipped(
    broker: Broker, lightning: LightningServer, plugins: Dropped
) -> None:
    text = BEEP.replace("Beep.asked.append(request.text)", "raise KeyError('oops')").replace(
        '"beep"', '"oops"'
    )
    plugins.drop("oops", text)
    async with plugins.house(broker, lightning, routes=[{"use": ["oops", "http"]}]) as house:
        outcome = await house.said("d100z")
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "http")
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["oops"]
        assert house.heard() == lightning.expected("d100z")
