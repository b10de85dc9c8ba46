"""Commands that the contract refuses are answered, do no harm, and are never spoken."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import TYPE_CHECKING

import pytest

from edgevoice.audio.gain import Ramp
from edgevoice_plugins.mqtt import source
from edgevoice_plugins.mqtt.options import Timeouts
from tests.support.broker import Broker, MqttClient
from tests.support.house import House
from tests.support.refused import ALLOWED_KEYS, refused_payloads

if TYPE_CHECKING:
    from tests.support.lightning import LightningServer


async def test_every_invalid_payload_is_rejected(broker: Broker, lightning: LightningServer) -> None:
    payloads = refused_payloads()
    assert len(payloads) == 200
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        answers = await house.client.collect("answers")
        for number, payload in enumerate(payloads):
            await house.client.publish(
                "edgevoice/kitchen/say", payload, response_topic="answers", correlation=str(number).encode()
            )
        assert (await house.said("d200z", id="next"))["event_type"] == "finished"
        got = await answers.wait_for_count(200)
        assert [answer.correlation for answer in got] == [b"%d" % number for number in range(200)]
        for answer, payload in zip(got, payloads, strict=True):
            assert (answer.json["event_type"], bool(answer.json["reason"])) == ("rejected", True), payload
            assert answer.json["target"] == "kitchen"
        told = [m.json for m in house.events.messages if m.topic == "edgevoice/testnode/event"]
        assert told == [answer.json for answer in got]
        assert house.heard() == lightning.expected("d200z")


LARGEST = 64 * 1024


def connections(broker: Broker) -> int:
    return broker.text_of_log().count("New client connected from 127.0.0.1") - broker.text_of_log().count(
        " as test-"
    )


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_oversized_payload_keeps_the_connection(
    broker: Broker, lightning: LightningServer, version: str
) -> None:
    mqtt = {"host": broker.host, "port": broker.port, "version": version}
    async with House(broker, lightning={"base_url": lightning.url}, mqtt=mqtt) as house:
        before = connections(broker)
        for size in (1_000_000, LARGEST + 1, LARGEST):
            await house.client.publish("edgevoice/kitchen/say", b"a" * size)
        assert (await house.said("d200z"))["event_type"] == "finished"
        assert house.heard() == lightning.expected("d200z")
        assert [asked.text for asked in lightning.requests] == ["d200z"]
        # With MQTT 5 the broker keeps the megabyte to itself.
        assert rejected(house) == ["too large"] * (1 if version == "5" else 2) + [f"{LARGEST} characters"]
        assert connections(broker) == before
        assert [message.payload for message in house.available.messages][-1] == b"online"
        assert len(house.available.messages) <= 2  # what was retained before, and what it is now


FAULTY = {
    "id": "not allowed!",
    "tag": "x" * 65,
    "ttl": 0,
    "not_before": "25:00",
    "voice": "a\x00b",
    "language": 7,
    "speed": 3,
    "volume": 101,
    "chime": ["alarm"],
    "transport": "no transport",
    "repeat": {"times": 0},
    "private": "yes",
    "resolves": 1,
    "colour": "red",
}


async def test_critical_with_faulty_keys_is_spoken(broker: Broker, lightning: LightningServer) -> None:
    assert ALLOWED_KEYS.keys() - {"urgency"} < FAULTY.keys()
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        answers = await house.client.collect("answers")
        for number, (key, value) in enumerate(FAULTY.items()):
            said = {"text": f"d100z number {number}", "urgency": "critical", key: value}
            await house.client.publish("edgevoice/kitchen/say", json.dumps(said), response_topic="answers")
        outcomes = [answer.json for answer in await answers.wait_for_count(len(FAULTY))]
        for key, outcome in zip(FAULTY, outcomes, strict=True):
            assert outcome["event_type"] == "finished", key
            assert len(outcome["warnings"]) == 1, key
            assert outcome["warnings"][0].startswith(f"{key}: "), key
        expected = [
            as_critical(lightning.expected(f"d100z number {number}")) for number in range(len(FAULTY))
        ]
        assert house.heard() == b"".join(expected)


async def test_critical_topic_with_faulty_keys_is_spoken(broker: Broker, lightning: LightningServer) -> None:
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        said = json.dumps({"text": "d100z fire", "urgency": "panic", "ttl": -1, "id": "fire"})
        await house.client.publish("edgevoice/kitchen/say/critical", said)
        outcome = await house.outcome("fire")
        assert (outcome["event_type"], outcome["urgency"]) == ("finished", "critical")
        assert [warning.split(":")[0] for warning in outcome["warnings"]] == ["ttl"]
        assert house.heard() == as_critical(lightning.expected("d100z fire"))


@pytest.mark.parametrize(
    "payload",
    [{"urgency": "critical"}, {"text": "", "urgency": "critical"}, {"text": "\x07", "urgency": "critical"}],
)
async def test_critical_without_usable_text_is_rejected(
    broker: Broker, lightning: LightningServer, payload: dict[str, str]
) -> None:
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.client.publish("edgevoice/kitchen/say", json.dumps(payload))
        assert (await house.rejection())["key"] == "text"
        await house.said("d100z")
        assert house.heard() == lightning.expected("d100z")


@pytest.mark.parametrize("text", ["42", '"hi"', "[1, 2]", "null", "true", "tab\tand\nnewline"])
async def test_json_other_than_an_object_is_text(
    broker: Broker, lightning: LightningServer, text: str
) -> None:
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        answers = await house.client.collect("answers")
        await house.client.publish("edgevoice/kitchen/say", text, response_topic="answers")
        answer = (await answers.wait()).json
        assert (answer["event_type"], answer["warnings"]) == ("finished", [])
        assert [asked.text for asked in lightning.requests] == [text]
        assert house.heard() == lightning.expected(text)


async def test_unknown_urgency_of_a_topic_is_rejected(broker: Broker, lightning: LightningServer) -> None:
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.client.publish("edgevoice/kitchen/say/panic", "Fire!")
        rejection = await house.rejection()
        assert (rejection["key"], rejection["allowed"]) == ("urgency", "low, normal, high or critical")
        await house.said("d100z")
        assert house.heard() == lightning.expected("d100z")


RETAINED = ("say", "say/critical", "stream/live-1", "stop")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_retained_message_is_never_executed(
    lightning: LightningServer, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test must be back before the daemon is, to see what the daemon rejects.
    monkeypatch.setattr(source, "Timeouts", partial(Timeouts, retry_first_s=3.0))
    with Broker() as broker:
        mqtt = {"host": broker.host, "port": broker.port, "version": version}
        async with MqttClient(broker) as sender:
            for asked in RETAINED:
                await sender.publish(f"edgevoice/kitchen/{asked}", "d100z never said", retain=True)
        async with House(broker, lightning={"base_url": lightning.url}, mqtt=mqtt) as house:
            await nothing_retained_is_spoken(house, version)
            broker.restart()  # in order, so that it keeps what is retained
            await house.client.__aexit__()
            await house.connect()
            await house.client.publish_until_heard("edgevoice/kitchen/stop", "")
            await nothing_retained_is_spoken(house, version)
            assert {asked.text for asked in lightning.requests} == {"d100z"}
            assert house.heard() == lightning.expected("d100z") * 2


def as_critical(speech: bytes) -> bytes:
    """Return the expected samples of a critical announcement; its first 5 ms are ramped."""
    return Ramp(24000).apply(speech)


async def nothing_retained_is_spoken(house: House, version: str) -> None:
    """With MQTT 5 the broker is asked not to send it at all."""
    told = [] if version == "5" else ["retained"] * len(RETAINED)
    if told:
        await house.events.wait(lambda _: len(rejected(house)) == len(told))
    assert (await house.said("d100z", id=f"after-{uuid.uuid4().hex}"))["event_type"] == "finished"
    assert rejected(house) == told


def rejected(house: House) -> list[str]:
    """The reasons of all rejections so far."""
    events = [message.json for message in house.events.messages]
    return [event["reason"] for event in events if event["event_type"] == "rejected"]
