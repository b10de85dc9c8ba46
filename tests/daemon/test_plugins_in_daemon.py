"""Plugins of others, from the drop-in folder: used like the bundled ones, and harmless when they break."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from edgevoice.config import settings_from
from edgevoice.errors import ConfigError
from tests.support.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

BEGINNING = """
import asyncio
import msgspec
from edgevoice import Observer, Output, Say, Source, Transport, hookimpl

@hookimpl
def edgevoice_register(register):
    registers(register)
"""

BELL = """
class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = "ding"
    to: str = "kitchen"

class Bell(Source):
    options = Options
    async def listen(self, submit):
        await self.context.ready.wait()
        submit(Say(target=self.config.to, payload=self.config.text.encode()))
        await asyncio.Event().wait()

def registers(register):
    register.source("bell", Bell)
"""

BEEP = """
class Beep(Transport):
    asked = []
    async def synthesize(self, request):
        Beep.asked.append(request.text)
        for _ in range(10):
            yield b"\\x01\\x10" * (request.sample_rate // 100)

def registers(register):
    register.transport("beep", Beep)
"""

LISTENER = """
class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    loud: bool = False

class Listener(Output):
    options = Options
    heard = {}
    def __init__(self, context, options, speaker):
        self.speaker, self.config = speaker, options
    async def probe(self):
        pass
    async def play(self, audio, rate, progress):
        frames = 0
        async for pcm in audio:
            frames += len(pcm) // 2
            Listener.heard[self.speaker, self.config.loud] = Listener.heard.get((self.speaker, self.config.loud), b"") + pcm
            progress.handed(frames)
            progress.heard(frames)

def registers(register):
    register.output("listener", Listener)
"""


class Dropped:
    """Plugins dropped into a folder; `module(name)` is one of them as it was loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def drop(self, name: str, text: str, beginning: str = BEGINNING) -> None:
        (self.folder / f"{name}.py").write_text(beginning + text)

    def module(self, name: str) -> Any:
        return sys.modules[f"edgevoice_dropin_{name}"]

    def house(self, broker: Broker, lightning: LightningServer, **sections: Any) -> House:
        options = {"lightning": {"base_url": lightning.url}, **sections}
        return House(broker, plugins_dir=str(self.folder), **options)


@pytest.fixture
def plugins(tmp_path: Path) -> Dropped:
    tmp_path.chmod(0o755)
    return Dropped(tmp_path)


async def test_a_source_a_transport_and_an_output_of_others_do_all_of_it(
    broker: Broker, lightning: LightningServer, plugins: Dropped
) -> None:
    plugins.drop("bell", BELL)
    plugins.drop("beep", BEEP)
    plugins.drop("listener", LISTENER)
    house = plugins.house(
        broker,
        lightning,
        bell={"text": "Somebody rings."},
        routes=[{"use": ["beep"]}],
        speakers={"kitchen": {"output": "listener", "loud": True}},
    )
    async with house:
        (outcome,) = [message.json for message in await house.events.wait_for_count(3)][2:]
        assert (outcome["event_type"], outcome["transport"], outcome["spoken_s"]) == ("finished", "beep", 0.1)
        assert plugins.module("beep").Beep.asked == ["Somebody rings."]
        assert plugins.module("listener").Listener.heard == {("kitchen", True): b"\x01\x10" * 2400}
        assert lightning.requests == []


async def test_what_a_source_addresses_to_nobody_is_rejected_naming_who_there_is(
    broker: Broker, lightning: LightningServer, plugins: Dropped
) -> None:
    plugins.drop("lost_bell", BELL)
    speakers = {"kitchen": {"groups": ["downstairs"]}, "attic": {}}
    async with plugins.house(broker, lightning, bell={"to": "cellar"}, speakers=speakers) as house:
        rejection = await house.rejection()
        assert (rejection["key"], rejection["target"]) == ("target", "cellar")
        assert "'cellar'" in rejection["reason"]
        assert set(rejection["allowed"].split(", ")) == {"all", "kitchen", "attic", "downstairs"}
        assert house.heard() == house.heard("attic") == b""


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
async def test_an_observer_that_raises_starves_nobody(
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


async def test_a_source_that_raises_is_begun_again_and_the_others_are_heard_meanwhile(
    broker: Broker, lightning: LightningServer, plugins: Dropped, caplog: pytest.LogCaptureFixture
) -> None:
    plugins.drop("falls", FALLING_SOURCE)
    async with plugins.house(broker, lightning) as house:
        assert (await house.said("d100z From another.", id="other"))["event_type"] == "finished"
        await lightning.until(lambda: len(lightning.requests) == 4)
        asked = [asked.text for asked in lightning.requests if "Try" in asked.text]
        assert asked == ["d100z Try 1.", "d100z Try 2.", "d100z Try 3."]
        assert caplog.text.count("falls failed; it begins again") == 2
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
async def test_one_that_cannot_be_made_is_a_fault_and_the_others_work(
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
            forced = await house.said("d100z", transport="unmade", id="forced")
            assert forced["event_type"] == "failed"
            assert "unmade" in f"{forced['reason']} {forced['why']}"


@pytest.mark.parametrize("where", [IN_CONSTRUCTOR, ON_ENTRY])
async def test_an_output_that_cannot_be_made_is_the_fault_of_its_speaker_alone(
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


async def test_an_output_whose_probe_breaks_is_a_fault_until_it_plays(
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


async def test_a_transport_that_raises_what_it_should_not_is_passed_over(
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


async def test_broken_files_beside_it_do_not_keep_a_good_one_from_work(
    broker: Broker, lightning: LightningServer, plugins: Dropped
) -> None:
    plugins.drop("a_broken_one", "def (")
    plugins.drop("leaves", "raise SystemExit(3)", beginning="")
    plugins.drop("good", BEEP.replace('"beep"', '"good"'))
    plugins.drop("http", BEEP.replace('"beep"', '"http"'))
    async with plugins.house(broker, lightning) as house:
        assert (await house.said("d100z", transport="good"))["transport"] == "good"
        assert (await house.said("d100z", transport="http", id="own"))["event_type"] == "finished"
        assert [asked.text for asked in lightning.requests] == ["d100z"]
        records = {(record.name, record.origin): record for record in house.settings.plugins.records}
        broken = {name for (name, origin), record in records.items() if record.status == "broken"}
        assert broken == {"a_broken_one", "leaves", "http"}
        taken = records["http", str(plugins.folder / "http.py")]
        assert taken.problem is not None
        assert "there is a transport called 'http' already" in taken.problem


def test_an_output_that_lacks_its_extra_is_a_mistake_with_the_line_that_installs_it(plugins: Dropped) -> None:
    missing = """
    @classmethod
    def missing(cls):
        return 'needs horn: pip install "edgevoice-horn[brass]"'
"""
    plugins.drop("horn", LISTENER.replace('"listener"', '"horn"').replace("    heard = {}\n", missing))
    text = (
        f"plugins_dir: {plugins.folder}\nspeakers: {{kitchen: {{output: horn}}, attic: {{output: hron}}}}\n"
    )
    with pytest.raises(ConfigError) as raised:
        settings_from(text)
    said = str(raised.value)
    assert "speakers.kitchen.output: 'horn' needs horn: pip install \"edgevoice-horn[brass]\"" in said
    assert "speakers.attic.output" in said
    assert "'horn'" in said.split("speakers.attic.output")[1]
