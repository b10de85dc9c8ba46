"""The documentation says what is so: its links, commands, payloads, topics and tables are held against the code."""

from __future__ import annotations

import json
import os
import re
import shlex
from datetime import datetime
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import msgspec
import pytest
import yaml

import edgevoice
from edgevoice.announcement import TTL, Urgency
from edgevoice.chimes import BUILT_IN, NO_CHIME
from edgevoice.cli import edgevoice as command_line
from edgevoice.commands import Say, Switch, Unusable
from edgevoice.config import settings_from
from edgevoice.config.load import check
from edgevoice.config.options import Core
from edgevoice.config.yaml_file import Document
from edgevoice.outcome import Event, SpeakerState, Step
from edgevoice.payload import Payload, read_payload
from edgevoice.presence import DEFAULT_CHIMES, Manners, Presence
from edgevoice.rules import Posture
from edgevoice.switches import switch
from edgevoice_plugins.mqtt.payload import encode
from edgevoice_plugins.mqtt.topics import Message, command_of, filters
from tests.support.pages import (
    HOME_ASSISTANT_GUIDE,
    MQTT_GUIDE,
    PLUGINS,
    README,
    ROOT,
    URGENCY_GUIDE,
    blocks,
    pages,
    without_fences,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DECISIONS = ROOT / "docs" / "decisions"
ABSENT_COMMANDS = {"doctor"}
TOLD = re.compile(r"edgevoice/[a-z-]+/(availability|event|state|volume|mute|dnd)")
PRESSED = {"notify": (), "button": ("PRESS",), "switch": ("ON", "OFF"), "number": ("0", "100")}
"""What each entity of Home Assistant sends where its configuration does not say."""
REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "crates" + ".io", "golang" + ".org")


def test_every_relative_link_leads_somewhere():
    for page in pages():
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", without_fences(page))
        for link in links:
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page}: {link} leads nowhere"


def test_every_decision_is_in_the_index():
    index = (DECISIONS / "README.md").read_text()
    for page in DECISIONS.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, f"{page.name} is not in the index"


def test_no_file_names_the_host_of_a_package_registry():
    folders = (
        "edgevoice",
        "plugins",
        "config",
        "docs",
        "requirements",
        "scripts",
        "systemd",
        "tests",
        "bench",
        ".ci",
    )
    files = chain(ROOT.glob("*.*"), *((ROOT / folder).rglob("*") for folder in folders))
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            text = file.read_text(errors="replace")
            assert not [host for host in REGISTRIES if host in text], file


def commands() -> dict[str, click.Command]:
    assert isinstance(command_line, click.Group)
    context = click.Context(command_line)
    found = {name: command_line.get_command(context, name) for name in command_line.list_commands(context)}
    return {name: command for name, command in found.items() if command}


def shell_lines() -> Iterator[tuple[Path, list[str]]]:
    for page in pages():
        for line in "".join(blocks(page, "sh")).splitlines():
            yield page, shlex.split(line, comments=True)


def test_every_command_is_in_the_readme():
    readme = README.read_text()
    table = re.findall(r"^\| (`edgevoice .*?) \|", readme, re.MULTILINE)
    named = set(re.findall(r"`(?:edgevoice )?([a-z-]+)", " ".join(table)))
    assert named == set(commands())
    assert all(f"`edgevoice {name}`" in readme for name in ABSENT_COMMANDS)


def test_every_command_that_a_page_shows_exists_with_its_options():
    known = commands()
    for page, words in shell_lines():
        if not words or Path(words[0]).name != "edgevoice" or words[0].startswith("-"):
            continue
        assert words[1] in known, f"{page}: edgevoice {words[1]}"
        options = {option for parameter in known[words[1]].params for option in parameter.opts}
        assert {word for word in words[2:] if word.startswith("--")} <= options, f"{page}: {words}"


def test_no_page_speaks_of_a_command_that_does_not_exist():
    for page in pages():
        if page.is_relative_to(ROOT / "bench"):
            continue
        spoken = set(re.findall(r"`edgevoice ([a-z][a-z-]*)", page.read_text()))
        assert spoken <= {*commands(), *ABSENT_COMMANDS}, page


def test_the_scripts_of_the_readme_can_be_run():
    scripts = {
        words[0]
        for page, words in shell_lines()
        if page == README and words and words[0].startswith("scripts/")
    }
    assert scripts == {"scripts/demo", "scripts/test"}
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


def test_the_configuration_of_the_readme_is_ten_lines_that_load(tmp_path):
    key = tmp_path / "api_key"
    key.write_text("sk_of_nobody")
    [text] = [text for text in blocks(README, "yaml") if "lightning:" in text]
    assert len(text.splitlines()) == 10
    text = text.replace("/etc/edgevoice/api_key", str(key)).replace("/etc/edgevoice/mqtt_password", str(key))
    settings = settings_from(text)
    assert set(settings.core.speakers) == {"kitchen", "study"}
    assert settings.warnings == ()


@pytest.mark.parametrize("page", [README, MQTT_GUIDE, URGENCY_GUIDE])
def test_the_json_of_a_page_is_accepted_without_a_warning(page):
    payloads = [text for text in blocks(page, "json") if "event_type" not in text]
    assert payloads
    for text in payloads:
        reading = read_payload(text.encode(), known={"chime": {*BUILT_IN, NO_CHIME}})
        assert msgspec.to_builtins(reading.values) == json.loads(text)
        assert reading.warnings == ()


def test_the_event_of_the_guide_is_what_is_published():
    [text] = [text for text in blocks(MQTT_GUIDE, "json") if "event_type" in text]
    shown = json.loads(text)
    event = msgspec.convert(shown, Event, strict=False)
    assert json.loads(encode(event)) == shown


def test_each_message_that_a_page_publishes_is_a_command():
    published = [words for _, words in shell_lines() if words and words[0] == "mosquitto_pub"]
    assert len(published) > 5
    for words in published:
        topic, payload = words[words.index("-t") + 1], b""
        if "-m" in words:
            payload = words[words.index("-m") + 1].encode()
        elif "-f" in words:
            payload = blocks(README, "json")[0].encode()
        assert_understood(topic, payload)


def assert_understood(topic: str, payload: bytes) -> None:
    command = command_of("edgevoice", Message(topic=topic, payload=payload))
    assert command is not None, topic
    assert not isinstance(command, Unusable), topic
    if isinstance(command, Say):
        assert read_payload(command.payload, command.urgency).warnings == ()
    elif isinstance(command, Switch):
        speaker = SimpleNamespace(presence=Presence(Manners(), 50, datetime.now), tick=lambda: None)
        switch(speaker, command.what, payload.decode())  # type: ignore[arg-type]


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(item)


def of_home_assistant() -> list[dict[str, Any]]:
    texts = [
        *blocks(HOME_ASSISTANT_GUIDE, "yaml"),
        *(text for text in blocks(README, "yaml") if "notify" in text),
    ]
    return [mapping for text in texts for mapping in mappings(yaml.safe_load(text))]


def sent(kind: str, entity: dict[str, Any]) -> Iterator[str]:
    """What an entity of Home Assistant publishes."""
    said = entity.get("command_template", "A text.")
    yield from PRESSED[kind] or [re.sub(r"{{.*?}}", '"A text."', said)]


def test_home_assistant_publishes_what_is_understood():
    topics = set()
    for mapping in of_home_assistant():
        for kind, entity in mapping.items():
            if isinstance(entity, dict) and "command_topic" in entity:
                for payload in sent(kind, entity):
                    assert_understood(entity["command_topic"], payload.encode())
                assert entity["qos"] == 1
                topics.add(entity["command_topic"])
        if "payload" in mapping and "qos" in mapping:
            assert_understood(mapping["topic"], mapping["payload"].encode())
            assert mapping["qos"] == 1
            assert mapping["retain"] is False
            topics.add(mapping["topic"])
    assert len(topics) > 12


def test_home_assistant_presses_only_what_it_has():
    entities = {
        entity["default_entity_id"]
        for mapping in of_home_assistant()
        for entity in mapping.values()
        if isinstance(entity, dict) and "default_entity_id" in entity
    }
    pressed = {
        mapping["target"]["entity_id"]
        for mapping in of_home_assistant()
        if isinstance(mapping.get("target"), dict)
    }
    assert len(pressed) > 2
    assert pressed <= entities


def test_home_assistant_listens_where_something_is_told():
    listened = [
        topic
        for mapping in of_home_assistant()
        for key in ("state_topic", "json_attributes_topic", "availability_topic")
        if (topic := mapping.get(key))
    ]
    listened += [mapping["topic"] for mapping in of_home_assistant() if mapping.get("trigger") == "mqtt"]
    assert listened
    assert all(TOLD.fullmatch(topic) for topic in listened)
    [types] = [mapping["event_types"] for mapping in of_home_assistant() if "event_types" in mapping]
    assert types == [str(step) for step in Step]


def test_the_guide_names_every_key_step_and_part_of_the_state():
    guide = MQTT_GUIDE.read_text()
    keys = {field.encode_name for field in msgspec.structs.fields(Payload)}
    state = {field.encode_name for field in msgspec.structs.fields(SpeakerState)}
    for word in keys | state | {str(step) for step in Step}:
        assert f"`{word}`" in guide, word


def test_the_guide_names_every_topic_that_is_listened_to():
    guide = MQTT_GUIDE.read_text()
    for asked in filters("edgevoice", ["<target>"]):
        topic = asked.topic.replace("say/+", "say/<urgency>").replace("stream/+", "stream/<id>")
        assert f"\n| `{topic}` |" in guide, topic


@pytest.mark.parametrize("page", [README, URGENCY_GUIDE])
def test_the_table_of_urgencies_says_what_is_so(page):
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells[1:5]]
        for line in re.findall(r"^\| (.*) \|$", page.read_text(), re.MULTILINE)
        if len(cells := line.split(" | ")) == 5
    }
    [ttl] = [row for name, row in rows.items() if "`ttl`" in name]
    seconds = {"s": 1, "min": 60}
    assert [int(count) * seconds[unit] for count, unit in map(str.split, ttl)] == [
        TTL[one] for one in Urgency
    ]
    assert rows["chime"] == [DEFAULT_CHIMES.get(urgency, "none") for urgency in Urgency]
    posture = {"quiet hours": Posture(quiet=True), "do not disturb, mute": Posture(dnd=True, mute=True)}
    for name, held in posture.items():
        shown = [cell == "held" for cell in rows[name]]
        assert shown == [held.holds(urgency) is not None for urgency in Urgency], name


def test_the_configuration_of_the_guide_loads():
    shown = [settings_from(text) for text in blocks(URGENCY_GUIDE, "yaml")]
    assert len(shown) > 2
    assert [settings.warnings for settings in shown] == [()] * len(shown)


def test_the_guides_name_every_chime_that_is_made():
    for guide in (MQTT_GUIDE, URGENCY_GUIDE):
        assert all(f"`{name}`" in guide.read_text() for name in BUILT_IN), guide


def test_what_is_not_there_yet_is_said_and_so():
    [limits] = re.findall(r"^## What it is not.*", README.read_text(), re.MULTILINE | re.DOTALL)
    absent = re.findall(r"`(\w+)`", limits.split("Besides:")[0].split("`edgevoice check`:")[1])
    settings, _ = check(Document({field.encode_name: None for field in msgspec.structs.fields(Core)}), None)
    assert set(absent) == {warning.split(":")[0] for warning in settings.warnings}
    with pytest.raises(edgevoice.ConfigError, match="auto"):
        settings_from("routes: [{use: auto}]")


def test_the_page_of_plugins_names_all_that_can_be_imported():
    page = PLUGINS.read_text()
    for name in edgevoice.__all__:
        assert name == "__version__" or f"`{name}`" in page, name
