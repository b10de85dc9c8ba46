"""What the contract refuses is answered, harms nothing, and is never spoken."""

from __future__ import annotations

import json
from itertools import chain

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.broker import Broker, MqttClient
from tests.support.house import House

ALLOWED_KEYS = {
    "urgency": "critical",
    "id": "a-1",
    "tag": "t",
    "ttl": 60,
    "not_before": 0,
    "voice": "magnus",
    "language": "en",
    "speed": 1,
    "volume": 50,
    "chime": "none",
    "transport": "http",
    "repeat": {"times": 1},
    "private": False,
    "resolves": False,
}
CONTROL = [chr(code) for code in [*range(9), *range(11, 32), *range(127, 160)]]
SURROGATES = st.integers(0xD800, 0xDFFF).map(chr)

words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() and text.lstrip()[0] != "{"
)
keys = st.sampled_from(sorted(ALLOWED_KEYS))


def dumped(values: object) -> bytes:
    return json.dumps(values).encode()


def invalid_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return True
    return False


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def spoilt(text: str, at: int, character: str) -> str:
    at %= len(text) + 1
    return f"{text[:at]}{character}{text[at:]}"


def with_key(key: str, value: object) -> bytes:
    return dumped({"text": "never said", key: value})


binary = st.binary(min_size=1, max_size=300).filter(invalid_utf8)
broken = st.text(st.characters(codec="utf-8"), max_size=200).map(lambda text: "{" + text)
broken_json = broken.filter(lambda text: not is_json(text)).map(str.encode)
cut_json = st.integers(1, 40).map(lambda end: dumped({"text": "never said", "urgency": "critical"})[:end])
deep_json = st.tuples(st.integers(8, 10_000), st.sampled_from(["[]", '{"a":}'])).map(
    lambda how: f'{{"text": "never said", "tag": {how[1][:-1] * how[0]}{how[1][-1] * how[0]}}}'.encode()
)
blank = st.one_of(
    st.text(" \t\n", max_size=9).map(str.encode),
    st.text(" \t\n", max_size=9).map(lambda t: dumped({"text": t})),
)
controls = st.builds(spoilt, words, st.integers(0, 20), st.sampled_from(CONTROL))
controls = controls.filter(lambda text: text.lstrip()[0] != "{")
control_characters = st.one_of(controls.map(str.encode), controls.map(lambda text: dumped({"text": text})))
lone_surrogates = st.builds(spoilt, words, st.integers(0, 20), SURROGATES).map(lambda t: dumped({"text": t}))
other_surrogates = st.tuples(keys, SURROGATES).map(lambda pair: with_key(*pair))
surrogate_names = SURROGATES.map(lambda name: with_key(name, 1))
no_scalars = st.one_of(
    st.none(), st.lists(st.integers(), max_size=3), st.dictionaries(words, words, max_size=2)
)
wrong_types = st.tuples(keys.filter(lambda key: key != "repeat"), no_scalars).map(
    lambda pair: with_key(*pair)
)
wrong_text = st.one_of(no_scalars, st.integers(), st.booleans()).map(lambda value: dumped({"text": value}))
numbers = st.one_of(
    st.sampled_from(
        ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "9" * 400, "9" * 5000, "-1"]
    ),
    st.integers(86_401, 10**30).map(str),
    st.floats(max_value=-0.01, allow_infinity=False, allow_nan=False).map(repr),
)
huge_numbers = st.tuples(
    st.sampled_from(["ttl", "volume", "speed", "not_before", "id", "chime"]), numbers
).map(lambda pair: f'{{"text": "never said", "{pair[0]}": {pair[1]}}}'.encode())
unknown_keys = words.filter(lambda key: key != "text" and key not in ALLOWED_KEYS).map(
    lambda key: with_key(key, 1)
)
twice = keys.map(lambda key: f'{{"text": "never said", "{key}": 1, "{key}": 1}}'.encode())
too_long = st.tuples(st.integers(8001, 9000), st.booleans()).map(
    lambda how: dumped({"text": "a" * how[0]}) if how[1] else b"a" * how[0]
)
KINDS = {
    "binary": binary,
    "broken": broken_json,
    "cut": cut_json,
    "deep": deep_json,
    "blank": blank,
    "control": control_characters,
    "surrogate": lone_surrogates,
    "surrogate elsewhere": other_surrogates,
    "surrogate name": surrogate_names,
    "type": wrong_types,
    "text": wrong_text,
    "number": huge_numbers,
    "unknown": unknown_keys,
    "twice": twice,
    "long": too_long,
}


def generated(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """So many different payloads, the same ones each time."""
    found: dict[bytes, None] = {}

    @settings(
        derandomize=True,
        database=None,
        max_examples=4 * count,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(payload: bytes) -> None:
        if len(found) < count:
            found[payload] = None

    collect()
    return list(found)


def refused_payloads() -> list[bytes]:
    """200 of them, of every kind."""
    return list(chain.from_iterable(zip(*(generated(kind, 14) for kind in KINDS.values()), strict=True)))[
        :200
    ]


async def test_two_hundred_refused_payloads_are_each_answered_and_the_next_message_is_spoken(
    broker, lightning
):
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
        assert [int(answer.correlation) for answer in got] == list(range(200))
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
async def test_a_megabyte_is_dropped_and_the_connection_is_kept(broker, lightning, version):
    mqtt = {"host": broker.host, "port": broker.port, "version": version}
    async with House(broker, lightning={"base_url": lightning.url}, mqtt=mqtt) as house:
        before = connections(broker)
        for size in (1_000_000, LARGEST + 1, LARGEST):
            await house.client.publish("edgevoice/kitchen/say", b"a" * size)
        assert (await house.said("d200z"))["event_type"] == "finished"
        assert house.heard() == lightning.expected("d200z")
        assert [asked.text for asked in lightning.requests] == ["d200z"]
        told = [m.json["reason"] for m in house.events.messages if m.json["event_type"] == "rejected"]
        # With MQTT 5 the broker keeps the megabyte to itself.
        assert told == ["too large"] * (1 if version == "5" else 2) + [f"{LARGEST} characters"]
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


async def test_a_critical_one_is_spoken_whatever_is_wrong_with_its_other_keys(broker, lightning):
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
        expected = [lightning.expected(f"d100z number {number}") for number in range(len(FAULTY))]
        assert house.heard() == b"".join(expected)


async def test_the_urgency_of_the_topic_makes_a_faulty_one_critical(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        said = json.dumps({"text": "d100z fire", "urgency": "panic", "ttl": -1, "id": "fire"})
        await house.client.publish("edgevoice/kitchen/say/critical", said)
        outcome = await house.outcome("fire")
        assert (outcome["event_type"], outcome["urgency"]) == ("finished", "critical")
        assert [warning.split(":")[0] for warning in outcome["warnings"]] == ["ttl"]
        assert house.heard() == lightning.expected("d100z fire")


@pytest.mark.parametrize(
    "payload",
    [{"urgency": "critical"}, {"text": "", "urgency": "critical"}, {"text": "a\x07", "urgency": "critical"}],
)
async def test_a_critical_one_without_a_usable_text_is_refused(broker, lightning, payload):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.client.publish("edgevoice/kitchen/say", json.dumps(payload))
        assert (await house.rejection())["key"] == "text"
        await house.said("d100z")
        assert house.heard() == lightning.expected("d100z")


@pytest.mark.parametrize("text", ["42", '"hi"', "[1, 2]", "null", "true", "tab\tand\nnewline"])
async def test_what_is_no_object_is_text_as_it_stands(broker, lightning, text):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        answers = await house.client.collect("answers")
        await house.client.publish("edgevoice/kitchen/say", text, response_topic="answers")
        answer = (await answers.wait()).json
        assert (answer["event_type"], answer["warnings"]) == ("finished", [])
        assert [asked.text for asked in lightning.requests] == [text]
        assert house.heard() == lightning.expected(text)


async def test_an_unknown_urgency_of_a_topic_is_refused(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.client.publish("edgevoice/kitchen/say/panic", "Fire!")
        rejection = await house.rejection()
        assert (rejection["key"], rejection["allowed"]) == ("urgency", "low, normal, high or critical")
        await house.said("d100z")
        assert house.heard() == lightning.expected("d100z")


RETAINED = ("say", "say/critical", "stream/live-1", "stop")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_is_retained_is_never_obeyed_not_even_after_a_reconnect(lightning, version):
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
            await house.client.publish_until_heard("edgevoice/kitchen/stop", "nothing")
            await nothing_retained_is_spoken(house, version)
            assert {asked.text for asked in lightning.requests} == {"d100z"}
            assert house.heard() == lightning.expected("d100z") * 2


async def nothing_retained_is_spoken(house: House, version: str) -> None:
    """With MQTT 5 the broker is asked not to send it at all."""
    assert (await house.said("d100z", id=f"after-{len(house.events.messages)}"))["event_type"] == "finished"
    told = [message.json for message in house.events.messages if message.json["event_type"] == "rejected"]
    assert [event["reason"] for event in told] == ([] if version == "5" else ["retained"] * len(RETAINED))
