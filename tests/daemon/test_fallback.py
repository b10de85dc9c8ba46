"""Which transport an announcement takes, and what it falls back to when that one gives nothing."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from edgevoice_plugins.lightning.protocol.audio import write_wav
from tests.support.house import House
from tests.support.lightning import Fault

SHORT = "d150z A short one."
LONG = "d150z A longer one" + ", which goes on and on" * 8 + "."
LATE = {"low": 0.5, "normal": 0.5, "high": 0.5}


@pytest.mark.parametrize(
    ("keys", "text", "transport", "why"),
    [
        ({"private": True}, SHORT, "local", "private: the text never leaves the house"),
        ({"urgency": "critical"}, SHORT, "websocket", "urgency is critical"),
        ({"urgency": "high"}, LONG, "websocket", "urgency is high"),
        ({}, SHORT, "http", "up to 140 characters"),
        ({"urgency": "low"}, SHORT, "http", "up to 140 characters"),
        ({}, LONG, "http_stream", "longer than 140 characters"),
        ({"transport": "websocket"}, SHORT, "websocket", "the announcement asks for websocket"),
        ({"transport": "http"}, LONG, "http", "the announcement asks for http"),
    ],
)
async def test_default_routes(keys, text, transport, why, broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        outcome = await house.said(text, **keys)
        assert (outcome["transport"], outcome["why"], outcome["attempts"]) == (transport, why, [])
        if transport == "local":
            assert lightning.requests == []
        else:
            # The first 5 ms of a critical one grow from nothing.
            assert house.heard()[240:] == lightning.expected(text)[240:]


async def test_configured_routes(broker, lightning):
    routes = [{"when": {"urgency": "low"}, "use": ["websocket"]}, {"use": ["http_stream", "local"]}]
    async with House(broker, lightning={"base_url": lightning.url}, routes=routes) as house:
        assert (await house.said(SHORT, urgency="low"))["transport"] == "websocket"
        assert (await house.said(SHORT, urgency="high"))["transport"] == "http_stream"


def wrong_rate(pcm, rate):
    return write_wav(pcm, rate // 2)


def squeezed(pcm, rate):
    return gzip.compress(write_wav(pcm, rate))


FAULTS = {
    "429": Fault(status=429, body=b'{"error":"TooManyRequests"}'),
    "500": Fault(status=500, body=b'{"error":"InternalServerError","message":"oops"}'),
    "silent": Fault(at=-1, silent=True),
    "silent after the header": Fault(at=0, silent=True),
    "cut before any answer": Fault(at=-1, cut=True),
    "cut before the first sample": Fault(at=0, cut=True),
    "reset before any answer": Fault(at=-1, reset=True),
    "closed before the first sample": Fault(at=-1, close=1011),
    "HTML": Fault(
        status=200, body=b"<html>Welcome to the hotel's network</html>", headers={"Content-Type": "text/html"}
    ),
    "no JSON": Fault(status=200, body=b"nonsense", headers={"Content-Type": "text/event-stream"}),
    "empty": Fault(status=200, body=b"", headers={"Content-Type": "audio/wav"}),
}


@pytest.mark.parametrize("transport", ["http", "http_stream", "websocket"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_failure_before_the_first_sample_falls_back(transport, fault, broker, lightning):
    other = "http_stream" if transport != "http_stream" else "websocket"
    # A connection opened ahead that is lost before any answer is tried once more on a fresh one.
    lost = "cut" in fault or "reset" in fault or (transport == "websocket" and "closed" in fault)
    lightning.plan(FAULTS[fault], on=transport, times=2 if lost else 1)
    routes = [{"use": [transport, other, "local"]}]
    async with House(
        broker, lightning={"base_url": lightning.url}, routes=routes, first_audio_timeout=LATE
    ) as house:
        outcome = await house.said(SHORT)
        assert (outcome["event_type"], outcome["transport"]) == ("finished", other)
        assert [attempt["transport"] for attempt in outcome["attempts"]] == [transport]
        assert outcome["attempts"][0]["error"]
        assert house.heard() == lightning.expected(SHORT)
        # and nothing of it is left behind
        lightning._plan.clear()
        again = await house.said("d100z And another.")
        assert again["transport"] == transport
        assert house.heard() == lightning.expected(SHORT) + lightning.expected("d100z And another.")


@pytest.mark.parametrize(
    ("transport", "fault"),
    [
        ("http", Fault(make=wrong_rate)),
        ("http", Fault(make=squeezed)),
        ("http", Fault(make=lambda pcm, _: pcm[:-1])),
        ("http", Fault(at=1, cut=True)),
        ("http_stream", Fault(spoilt=True)),
        ("websocket", Fault(spoilt=True)),
    ],
    ids=[
        "WAV of another rate",
        "gzip",
        "odd bytes",
        "cut in the body",
        "base64 of SSE",
        "base64 of WebSocket",
    ],
)
async def test_invalid_audio_falls_back(transport, fault, broker, lightning):
    lightning.plan(fault, on=transport)
    routes = [{"use": [transport, "local"]}]
    async with House(broker, lightning={"base_url": lightning.url}, routes=routes) as house:
        outcome = await house.said(SHORT)
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "local")
        assert len(outcome["attempts"]) == 1
        heard = np.frombuffer(house.heard(), "<i2")
        assert lightning.expected(SHORT) not in house.heard()
        assert len(heard) > 0


@pytest.mark.parametrize("status", [401, 402, 403, 410])
@pytest.mark.parametrize("transport", ["http", "http_stream", "upgrade"])
async def test_account_refusal_goes_straight_to_local(status, transport, broker, lightning):
    body = b'{"message":"gone","recommended_endpoint":"/waves/v1/tts"}'
    lightning.plan(Fault(status=status, body=body), on=transport, times=100)
    text, urgency = ("Hello." if transport == "http" else "Hello " * 30), "normal"
    if transport == "upgrade":
        urgency = "critical"
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        states = await house.client.collect("edgevoice/kitchen/state")
        outcome = await house.said(text, urgency=urgency)
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "local")
        assert len(outcome["attempts"]) == 1
        error = outcome["attempts"][0]["error"]
        assert str(status) in error
        assert len(lightning.requests) == (0 if transport == "upgrade" else 1)
        await states.wait(lambda message: str(status) in (message.json["fault"] or ""))
    if status == 410:
        # The body of a refused upgrade is not available; then the error names the served models.
        assert ("lightning_v3.1" if transport == "upgrade" else "/waves/v1/tts") in error


async def test_account_fault_is_cleared_by_the_next_success(broker, lightning):
    lightning.plan(Fault(status=402), on="http")
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        states = await house.client.collect("edgevoice/kitchen/state")
        await house.said("Hello.")
        await states.wait(lambda message: "402" in (message.json["fault"] or ""))
        states = await house.client.collect("edgevoice/kitchen/state")
        await house.said(SHORT)
        await states.wait(lambda message: message.json["fault"] is None)


async def test_refused_upgrade_goes_straight_to_local(broker, lightning):
    lightning.plan(Fault(status=403), on="upgrade", times=100)
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        outcome = await house.said("Hello.", urgency="high")
        assert outcome["transport"] == "local"
        assert "403" in outcome["attempts"][0]["error"]
        assert lightning.requests == []


async def test_forced_transport_is_tried_alone(broker, lightning):
    lightning.plan(FAULTS["500"], on="http")
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        outcome = await house.said(SHORT, transport="http")
        assert outcome["event_type"] == "failed"
        assert "500" in outcome["reason"]
        assert len(lightning.requests) == 1


async def test_critical_with_a_failing_forced_transport_is_spoken(broker, lightning):
    lightning.plan(FAULTS["500"], on="http")
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        outcome = await house.said("Fire.", transport="http", urgency="critical")
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "local")


async def test_local_voice_speaks_critical_if_audio_is_late(broker, lightning):
    lightning.plan(Fault(at=-1, silent=True), on="websocket", times=2)
    async with House(broker, lightning={"base_url": lightning.url}, critical_deadline=0.3) as house:
        outcome = await house.said("Fire.", urgency="critical")
        assert outcome["transport"] == "local"
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["websocket"]


async def test_stream_that_breaks_off_twice_fails_with_spoken_s(broker, lightning):
    text = "d1000z Broken off."
    lightning.plan(Fault(at=3, cut=True), on="http_stream", times=2)
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        outcome = await house.said(text, transport="http_stream")
        assert outcome["event_type"] == "failed"
        assert "after 0.2 s of speech" in outcome["reason"]
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["http_stream"] * 2
        assert len(lightning.requests) == 2
        heard, spoken = house.heard(), int(3 * 0.08 * 24000 * 2)
        assert lightning.expected(text).startswith(heard[:spoken])
        assert outcome["spoken_s"] == pytest.approx(len(heard) / 48000, abs=0.001)


async def test_failed_segment_continues_over_another_transport(broker, lightning):
    first, second = "d150z One" + " and on" * 20 + ".", " d150z Two" + " and on" * 20 + "."
    async with House(
        broker,
        lightning={"base_url": lightning.url, "max_request_chars": 200},
        routes=[{"use": ["http", "http_stream"]}],
    ) as house:
        lightning.setup = 0.2
        await house.say(first + second, id="parts")
        await lightning.until(lambda: len(lightning.requests) == 1)
        lightning.plan(FAULTS["500"], on="http")
        outcome = await house.outcome("parts")
        assert outcome["event_type"] == "finished"
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["http"]
        assert house.heard() == lightning.expected(first + second)


async def test_outcome_of_all_transports_failing_says_why(broker, lightning):
    lightning.plan(FAULTS["500"], times=10)
    routes = [{"use": ["http", "http_stream", "websocket"]}]
    async with House(broker, lightning={"base_url": lightning.url}, routes=routes) as house:
        outcome = await house.said(SHORT)
        assert outcome["event_type"] == "failed"
        assert [attempt["transport"] for attempt in outcome["attempts"]] == [
            "http",
            "http_stream",
            "websocket",
        ]
        assert "no transport spoke" in outcome["reason"]
        assert outcome["spoken_s"] is None


async def test_unknown_transport_is_rejected_with_known_names(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.say(SHORT, id="one", transport="telegraph")
        rejection = await house.rejection()
        assert rejection["key"] == "transport"
        assert rejection["allowed"] == "http, http_stream, local, websocket"
        outcome = await house.said(SHORT, transport="telegraph", urgency="critical")
        assert outcome["event_type"] == "finished"
        assert "telegraph" in outcome["warnings"][0]
