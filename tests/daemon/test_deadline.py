"""The deadline of a critical one: the local voice speaks, whatever the network does."""

from __future__ import annotations

import dataclasses
import socket
from functools import partial

import pytest

from edgevoice.synthesis.synthesizer import Timeouts
from edgevoice_plugins.lightning import transport
from edgevoice_plugins.lightning.transport import Limits
from tests.support.house import House
from tests.support.lightning import Fault

PATIENT = Timeouts(stall_s=1000.0, last_resort_s=1000.0)
SOON = 0.4
#: Bytes in which an alarm grows to its volume.
RAMP = 240
ALARM = "Fire in the kitchen."


@pytest.fixture(autouse=True)
def _nothing_else_ends_it(monkeypatch):
    monkeypatch.setattr(transport, "Limits", partial(Limits, stall_s=1000.0))


def house_of(broker, url, *, account=None, **more):
    more = {"timeouts": PATIENT, "critical_deadline": SOON, **more}
    return House(broker, lightning={"base_url": url, **(account or {})}, **more)


def is_local(outcome):
    return (outcome["event_type"], outcome["transport"]) == ("finished", "local")


@pytest.fixture
def black_hole():
    """A server that takes connections, and whatever comes over them, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


async def test_alarm_is_spoken_without_an_answer_from_the_network(broker, black_hole):
    async with house_of(broker, black_hole) as house:
        outcome = await house.said(ALARM, urgency="critical")
        assert is_local(outcome)
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["websocket"]
        assert "no audio in time" in outcome["attempts"][0]["error"]
        assert house.heard()


async def test_critical_deadline_covers_all_transports(broker, lightning):
    lightning.plan(Fault(status=500), on="websocket")
    lightning.plan(Fault(at=-1, silent=True), on="http_stream")
    async with house_of(broker, lightning.url) as house:
        outcome = await house.said(ALARM, urgency="critical")
        assert is_local(outcome)
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["websocket", "http_stream"]
        await lightning.until(lambda: lightning.requests[-1].cancelled)


async def test_alarm_is_spoken_without_a_free_slot(broker, lightning):
    lightning.pace = 1.0
    speakers = {"kitchen": {}, "cellar": {}}
    async with house_of(broker, lightning.url, speakers=speakers) as house:
        await house.say("d4000z Water in the cellar.", to="cellar", urgency="critical", id="first")
        await lightning.until(lambda: lightning.in_flight == 1)
        outcome = await house.said(ALARM, urgency="critical", id="second")
        assert is_local(outcome)
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["websocket"]
        assert "no slot of the account in time" in outcome["attempts"][0]["error"]
        assert (await house.outcome("first"))["transport"] == "websocket"
        assert len(lightning.requests) == 1


async def test_transport_in_time_wins_over_the_ready_local_voice(broker, lightning):
    timeouts = dataclasses.replace(PATIENT, standby_lead_share=0.999)
    lightning.setup = 1.0
    async with house_of(broker, lightning.url, critical_deadline=20, timeouts=timeouts) as house:
        outcome = await house.said("d300z Fire.", urgency="critical")
        assert (outcome["event_type"], outcome["transport"], outcome["attempts"]) == (
            "finished",
            "websocket",
            [],
        )
        assert house.heard()[RAMP:] == lightning.expected("d300z Fire.")[RAMP:]


@pytest.mark.parametrize("fault", [Fault(at=-1, silent=True), Fault(at=2, silent=True)], ids=["before", "in"])
async def test_local_voice_replaces_a_segment_that_stalls(fault, broker, lightning):
    first, second = "d300z One and on and on.", "d300z Two and on and on."
    account = {"max_request_chars": 25}
    routes = [{"use": ["http_stream", "local"]}]
    async with house_of(broker, lightning.url, account=account, routes=routes) as house:
        lightning.setup = 0.1
        await house.say(f"{first} {second}", id="parts", urgency="critical")
        await lightning.until(lambda: lightning.in_flight == 1)
        lightning.setup = 0.0
        lightning.plan(fault, on="http_stream")
        outcome = await house.outcome("parts")
        assert is_local(outcome)
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["http_stream"]
        assert house.heard()[RAMP:].startswith(lightning.expected(first)[RAMP:])
        assert len(house.heard()) > len(lightning.expected(f"{first} {second}"))


@pytest.mark.parametrize("at", [-1, 2], ids=["before", "in"])
async def test_deadline_of_stalled_prefetch_counts_from_its_turn(at, broker, lightning):
    first, second = "d2000z Water in the cellar.", "d1000z Fire in the kitchen."
    routes = [{"use": ["websocket", "local"]}]
    async with house_of(broker, lightning.url, pace=True, routes=routes, first_audio_timeout=1000) as house:
        await house.say(first, id="water", urgency="critical", tag="water")
        await lightning.until(lambda: any(request.ended for request in lightning.requests))
        lightning.plan(Fault(at=at, silent=True), on="websocket")
        outcome = await house.said(second, id="fire", urgency="critical", tag="fire")
        assert is_local(outcome)
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["websocket"]
        assert outcome["attempts"][0]["error"].startswith("timed out")
        assert house.heard()[RAMP:].startswith(lightning.expected(first)[RAMP:])
        assert len(lightning.requests) == 2


async def test_alarm_tone_sounds_if_the_local_voice_fails(broker, black_hole, monkeypatch):
    monkeypatch.setattr("edgevoice_plugins.local_voice.voices.LANGUAGES", {"en": "none"})
    monkeypatch.setattr("edgevoice_plugins.local_voice.voices._ESPEAK_CODES", {"en": "no-such-voice"})
    async with house_of(broker, black_hole) as house:
        outcome = await house.said(ALARM, urgency="critical")
        assert outcome["event_type"] == "failed"
        assert "local" in outcome["reason"]
        assert any(house.heard())


async def test_standby_voice_is_for_critical_only(broker, lightning):
    timeouts = dataclasses.replace(PATIENT, standby_lead_share=1.0)
    lightning.setup = 0.3
    async with house_of(broker, lightning.url, timeouts=timeouts) as house:
        outcome = await house.said("d300z Hello.", urgency="high")
        assert (outcome["event_type"], outcome["transport"], outcome["attempts"]) == (
            "finished",
            "websocket",
            [],
        )
