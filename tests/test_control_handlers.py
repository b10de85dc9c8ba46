"""The `explain` request: answered by the running daemon, and from the configuration alone."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edgevoice import EdgeVoiceError, InvalidAnnouncement
from edgevoice.config import settings_from
from edgevoice.control import explain_from_config, parse_explain_request, query
from tests.support.broker import Broker
from tests.support.house import House

HOUSE = """
lightning: {base_url: http://127.0.0.1:9}
speakers:
  kitchen: {output: wav_file, path: kitchen.wav, groups: [downstairs], volume: 60}
  study: {output: wav_file, path: study.wav, quiet_hours: [{from: 00:00, to: 00:00}]}
routes: [{when: {urgency: high}, use: [websocket, http]}, {use: [http_stream]}]
chime: {low: ding}
"""
TEXT = "The washing machine is done."


def alone(
    text: str = TEXT, target: str = "all", urgency: str | None = None, config: str = HOUSE
) -> dict[str, Any]:
    return explain_from_config(settings_from(config), {"text": text, "target": target, "urgency": urgency})


def on(answer: dict[str, Any], speaker: str) -> dict[str, Any]:
    [found] = [one for one in answer["speakers"] if one["speaker"] == speaker]
    return dict(found)


def test_explain_from_config():
    answer = alone(urgency="high")
    assert answer["from"] == "the configuration alone"
    assert (answer["target"], answer["urgency"], answer["characters"]) == ("all", "high", len(TEXT))
    assert (answer["transports"], answer["why"]) == (["websocket", "http"], "urgency is high")
    assert answer["warnings"] == []


def test_explain_lists_speakers_of_target():
    assert [one["speaker"] for one in alone()["speakers"]] == ["kitchen", "study"]
    assert [one["speaker"] for one in alone(target="downstairs")["speakers"]] == ["kitchen"]
    assert [one["speaker"] for one in alone(target="study")["speakers"]] == ["study"]


def test_explain_from_config_assumes_idle():
    kitchen = on(alone(), "kitchen")
    assert (kitchen["action"], kitchen["held"], kitchen["ahead"]) == ("play", None, 0)
    assert (kitchen["volume"], kitchen["chime"], kitchen["ttl"]) == (60, None, 300.0)
    assert on(alone(urgency="low"), "kitchen")["chime"] == "ding"


def test_explain_from_config_knows_quiet_hours():
    assert on(alone(), "study")["held"] == "quiet hours"
    high = on(alone(urgency="high"), "study")
    assert (high["action"], high["volume"]) == ("play", 30)
    assert on(alone(urgency="critical"), "study")["volume"] == 70


def test_explain_uses_configured_time_zone():
    hour = datetime.now(ZoneInfo("Pacific/Kiritimati")).hour
    window = f'quiet_hours: [{{from: "{(hour - 1) % 24:02d}:00", to: "{(hour + 2) % 24:02d}:00"}}]'
    assert on(alone(config=f"timezone: Pacific/Kiritimati\n{window}\nnode: k"), "k")["held"] == "quiet hours"
    assert on(alone(config=f"timezone: Europe/Berlin\n{window}\nnode: k"), "k")["held"] is None


def test_explain_reads_json():
    keys = {"text": TEXT, "urgency": "high", "volume": 10, "chime": "done", "ttl": 5, "private": True}
    answer = alone(json.dumps(keys))
    kitchen = on(answer, "kitchen")
    assert (kitchen["volume"], kitchen["chime"], kitchen["ttl"]) == (10, "done", 5.0)
    assert (answer["urgency"], answer["transports"]) == ("high", ["local"])
    assert alone(json.dumps(keys), urgency="low")["urgency"] == "low"


def test_explain_lists_warnings():
    answer = alone('{"text": "Fire.", "volume": 900}', urgency="critical")
    assert answer["warnings"][0].startswith("volume: ")
    assert on(answer, "kitchen")["volume"] == 70


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("  ", "text"),
        ('{"text": "a", "urgent": true}', "urgent"),
        ('{"text": "a", "chime": "gong"}', "chime"),
    ],
)
def test_explain_rejects_what_intake_rejects(text, key):
    with pytest.raises(InvalidAnnouncement) as raised:
        alone(text)
    assert raised.value.key == key


def test_unknown_target_lists_known():
    with pytest.raises(EdgeVoiceError, match=r"'attic'.*all, kitchen, downstairs, study"):
        parse_explain_request(settings_from(HOUSE), {"text": TEXT, "target": "attic"}, {})


@pytest.fixture(scope="module")
def broker():
    with Broker() as running:
        yield running


async def asked(house: House, text: str, **more: Any) -> dict[str, Any]:
    question = {"text": text, "target": "kitchen", "urgency": None, **more}
    return dict(await asyncio.to_thread(query, house.folder, ask="explain", **question))


async def test_explain_by_running_daemon(broker):
    async with House(broker, pace=True, chime={"high": "done"}) as house:
        await house.client.publish("edgevoice/kitchen/volume/set", "40")
        await house.say("This takes a while. " * 8, id="long")
        await house.step("long", "started")
        normal = await asked(house, TEXT)
        assert normal["from"] == "the running daemon"
        assert on(normal, "kitchen")["action"] == "wait"
        assert on(normal, "kitchen")["volume"] == 40
        high = on(await asked(house, TEXT, urgency="high"), "kitchen")
        assert high["action"] == "at_pause"
        assert high["chime"] == "done"
        assert on(await asked(house, TEXT, urgency="critical"), "kitchen")["action"] == "now"
        await house.say("And this waits.", id="waiting")
        await house.step("waiting", "queued")
        assert on(await asked(house, TEXT), "kitchen")["ahead"] == 1
        await house.client.publish("edgevoice/kitchen/mute/set", "ON")
        await house.step("long", "held")
        assert on(await asked(house, TEXT), "kitchen")["held"] == "mute"
        with pytest.raises(EdgeVoiceError, match="kitchen"):
            await asked(house, TEXT, target="attic")
        with pytest.raises(EdgeVoiceError, match="blank"):
            await asked(house, " ")
