"""The guides are valid: payloads, topics, events, tables, and the messages of Home Assistant."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from edgevoice.announcement import DEFAULT_TTL_S, Urgency
from edgevoice.audio.chimes import BUILT_IN, NO_CHIME
from edgevoice.commands import InvalidCommand, Say, SetSetting
from edgevoice.config import settings_from
from edgevoice.intake.payload import Payload, parse_payload
from edgevoice.outcome import Event, EventType, SpeakerState
from edgevoice.scheduler.policy import DEFAULT_CHIMES, HoldState, SpeakerPolicy, SpeakerSettings
from edgevoice_plugins.mqtt.source import encode
from edgevoice_plugins.mqtt.topics import Message, command_of, filters
from tests.support.pages import HOME_ASSISTANT_GUIDE, MQTT_GUIDE, README, URGENCY_GUIDE, blocks, shell_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLD = re.compile(r"edgevoice/[a-z-]+/(availability|event|state|volume|mute|dnd)")
#: The default payloads of each entity of Home Assistant.
PRESSED = {"notify": (), "button": ("PRESS",), "switch": ("ON", "OFF"), "number": ("0", "100")}


@pytest.mark.parametrize("page", [README, MQTT_GUIDE, URGENCY_GUIDE])
def test_the_json_of_a_page_is_accepted_without_a_warning(page):
    payloads = [text for text in blocks(page, "json") if "event_type" not in text]
    assert payloads
    for text in payloads:
        reading = parse_payload(text.encode(), known={"chime": {*BUILT_IN, NO_CHIME}})
        assert json.loads(msgspec.json.encode(reading.values)) == json.loads(text)
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
    assert not isinstance(command, InvalidCommand), topic
    if isinstance(command, Say):
        assert parse_payload(command.payload, command.urgency).warnings == ()
    elif isinstance(command, SetSetting):
        SpeakerSettings(SpeakerPolicy(), 50, datetime.now).apply(command.setting, payload.decode(), 0.0)


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
    """Yield the messages of an entity of Home Assistant."""
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
    assert types == [str(step) for step in EventType]


def test_the_guide_names_every_key_step_and_part_of_the_state():
    guide = MQTT_GUIDE.read_text()
    keys = set(Payload.__annotations__)
    state = {field.encode_name for field in msgspec.structs.fields(SpeakerState)}
    for word in keys | state | {str(step) for step in EventType}:
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
        DEFAULT_TTL_S[one] for one in Urgency
    ]
    assert rows["chime"] == [DEFAULT_CHIMES.get(urgency, "none") for urgency in Urgency]
    hold_state = {
        "quiet hours": HoldState(quiet=True),
        "do not disturb, mute": HoldState(dnd=True, mute=True),
    }
    for name, held in hold_state.items():
        shown = [cell == "held" for cell in rows[name]]
        assert shown == [held.holds(urgency) is not None for urgency in Urgency], name


def test_the_configuration_of_the_guide_loads():
    shown = [settings_from(text) for text in blocks(URGENCY_GUIDE, "yaml")]
    assert len(shown) > 2
    assert [settings.warnings for settings in shown] == [()] * len(shown)


def test_the_guides_name_every_chime_that_is_made():
    for guide in (MQTT_GUIDE, URGENCY_GUIDE):
        assert all(f"`{name}`" in guide.read_text() for name in BUILT_IN), guide
