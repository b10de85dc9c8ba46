"""Plugins of others, from the drop-in folder: used exactly like the bundled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.dropped import BEEP, BELL, LISTENER, Dropped

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer


@pytest.fixture
def plugins(tmp_path: Path) -> Dropped:
    return Dropped(tmp_path)


async def test_third_party_plugins_serve_an_announcement(
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


async def test_unknown_target_of_a_source_is_rejected(
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


async def test_broken_plugin_files_do_not_affect_a_working_plugin(
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
        assert "a transport called 'http' exists already" in taken.problem


UNITS = """
@hookimpl
def edgevoice_filter_text(text, language):
    return text.replace("5 C", "five degrees")

def registers(register):
    pass
"""


async def test_text_filter_changes_what_is_spoken_and_no_event(
    broker: Broker, lightning: LightningServer, plugins: Dropped
) -> None:
    plugins.drop("units", UNITS)
    async with plugins.house(broker, lightning) as house:
        outcome = await house.said("d100z It is 5 C.")
        assert outcome["event_type"] == "finished"
        assert [asked.text for asked in lightning.requests] == ["d100z It is five degrees."]
        assert (await house.said("d100z It is 5 C.", private=True, id="own"))["transport"] == "local"
