"""What the daemon answers when it is asked for its history or for what it would do; and the same without a daemon."""

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


def test_without_a_daemon_the_configuration_alone_answers_and_says_so():
    answer = alone(urgency="high")
    assert answer["from"] == "the configuration alone"
    assert (answer["target"], answer["urgency"], answer["characters"]) == ("all", "high", len(TEXT))
    assert (answer["transports"], answer["why"]) == (["websocket", "http"], "urgency is high")
    assert answer["warnings"] == []


def test_each_speaker_that_answers_to_the_target_is_told_of():
    assert [one["speaker"] for one in alone()["speakers"]] == ["kitchen", "study"]
    assert [one["speaker"] for one in alone(target="downstairs")["speakers"]] == ["kitchen"]
    assert [one["speaker"] for one in alone(target="study")["speakers"]] == ["study"]


def test_alone_nothing_is_being_said_and_no_switch_is_set():
    kitchen = on(alone(), "kitchen")
    assert (kitchen["what"], kitchen["held"], kitchen["ahead"]) == ("is said at once", None, 0)
    assert (kitchen["volume"], kitchen["chime"], kitchen["ttl"]) == (60, None, 300.0)
    assert on(alone(urgency="low"), "kitchen")["chime"] == "ding"


def test_the_quiet_hours_of_a_speaker_count_alone_too():
    assert on(alone(), "study")["what"] == "is held: quiet hours"
    high = on(alone(urgency="high"), "study")
    assert (high["what"], high["volume"]) == ("is said at once", 30)
    assert on(alone(urgency="critical"), "study")["volume"] == 70


def test_the_time_zone_decides_whether_it_is_quiet():
    hour = datetime.now(ZoneInfo("Pacific/Kiritimati")).hour
    window = f'quiet_hours: [{{from: "{(hour - 1) % 24:02d}:00", to: "{(hour + 2) % 24:02d}:00"}}]'
    assert on(alone(config=f"timezone: Pacific/Kiritimati\n{window}\nnode: k"), "k")["held"] == "quiet hours"
    assert on(alone(config=f"timezone: Europe/Berlin\n{window}\nnode: k"), "k")["held"] is None


def test_a_text_may_be_an_object_with_everything_in_it():
    keys = {"text": TEXT, "urgency": "high", "volume": 10, "chime": "done", "ttl": 5, "private": True}
    answer = alone(json.dumps(keys))
    kitchen = on(answer, "kitchen")
    assert (kitchen["volume"], kitchen["chime"], kitchen["ttl"]) == (10, "done", 5.0)
    assert (answer["urgency"], answer["transports"]) == ("high", ["local"])
    assert alone(json.dumps(keys), urgency="low")["urgency"] == "low"


def test_a_critical_one_shows_the_faults_it_is_spoken_in_spite_of():
    answer = alone('{"text": "Fire.", "volume": 900}', urgency="critical")
    assert answer["warnings"][0].startswith("volume: ")
    assert on(answer, "kitchen")["volume"] == 70


def test_what_would_be_refused_is_refused():
    with pytest.raises(InvalidAnnouncement, match="blank"):
        alone("  ")
    with pytest.raises(InvalidAnnouncement, match="unknown key"):
        alone('{"text": "a", "urgent": true}')


def test_a_chime_that_there_is_not_would_be_refused():
    with pytest.raises(InvalidAnnouncement, match="there is none called gong"):
        alone('{"text": "a", "chime": "gong"}')


def test_a_target_that_nobody_answers_to_names_those_there_are():
    with pytest.raises(EdgeVoiceError, match="'attic'; there are: all, kitchen, downstairs, study"):
        parse_explain_request(settings_from(HOUSE), {"text": TEXT, "target": "attic"})


@pytest.fixture(scope="module")
def broker():
    with Broker() as running:
        yield running


async def asked(house: House, text: str, **more: Any) -> dict[str, Any]:
    question = {"text": text, "target": "kitchen", "urgency": None, **more}
    return dict(await asyncio.to_thread(query, house.folder, ask="explain", **question))


async def test_the_running_daemon_answers_from_what_it_does_now(broker):
    async with House(broker, pace=True, chime={"high": "done"}) as house:
        await house.client.publish("edgevoice/kitchen/volume/set", "40")
        await house.say("This takes a while. " * 8, id="long")
        await house.step("long", "started")
        normal = await asked(house, TEXT)
        assert normal["from"] == "the running daemon"
        assert on(normal, "kitchen")["what"] == "waits until what is being said has ended"
        assert on(normal, "kitchen")["volume"] == 40
        high = on(await asked(house, TEXT, urgency="high"), "kitchen")
        assert high["what"].startswith("interrupts what is being said at its next pause")
        assert high["chime"] == "done"
        assert "at once" in on(await asked(house, TEXT, urgency="critical"), "kitchen")["what"]
        await house.say("And this waits.", id="waiting")
        await house.step("waiting", "queued")
        assert on(await asked(house, TEXT), "kitchen")["ahead"] == 1
        await house.client.publish("edgevoice/kitchen/mute/set", "ON")
        await house.step("long", "held")
        assert on(await asked(house, TEXT), "kitchen")["what"] == "is held: mute"
        with pytest.raises(EdgeVoiceError, match="there are: "):
            await asked(house, TEXT, target="attic")
        with pytest.raises(EdgeVoiceError, match="blank"):
            await asked(house, " ")
