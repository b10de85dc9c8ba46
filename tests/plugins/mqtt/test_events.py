"""What the source `mqtt` publishes at a real mosquitto."""

import asyncio
import os
import signal
import sys

import pytest

from edgevoice.announcement import Urgency
from edgevoice.outcome import CurrentAnnouncement, EventType, Rejection, SpeakerState, Timings
from edgevoice_plugins.mqtt.topics import Origin
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import AT, an_event, house, listening


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


async def test_an_event_is_published_as_the_contract_writes_it(broker):
    async with house(broker) as (heard, client):
        events = await client.collect("edgevoice/kitchen/event")
        heard.source.on_event(
            an_event(transport="http", ms=Timings(queued=2, total=3400), spoken_s=3.1), None
        )
        told = await events.wait()
    assert told.json["at"] == "2026-11-22T18:04:05.123+00:00"
    assert told.json == {
        "event_type": "finished",
        "id": "a1",
        "speaker": "kitchen",
        "target": "all",
        "urgency": "normal",
        "at": told.json["at"],
        "tag": None,
        "reason": None,
        "repeated": False,
        "warnings": [],
        "why": None,
        "transport": "http",
        "cached": False,
        "attempts": [],
        "spoken_s": 3.1,
        "volume": None,
        "round": None,
        "ms": {"queued": 2, "first_audio": None, "first_sound": None, "first_speech": None, "total": 3400},
    }
    assert not told.retained


async def test_an_outcome_and_a_rejection_answer_the_sender_and_a_step_does_not(broker):
    origin = Origin("me/answers", b"42")
    async with house(broker) as (heard, client):
        answers = await client.collect("me/answers")
        rejections = await client.collect("edgevoice/pi/event")
        heard.source.on_event(an_event(step=EventType.STARTED), origin)
        heard.source.on_event(an_event(step=EventType.FINISHED), origin)
        heard.source.on_event(an_event(step=EventType.EXPIRED), "the origin of another source")
        heard.source.on_rejected(
            Rejection(node="pi", at=AT, target="all", reason="blank", key="text"), origin
        )
        outcome, rejection = await answers.wait_for_count(2)
        assert (await rejections.wait()).json == rejection.json
    assert (outcome.json["event_type"], outcome.correlation) == ("finished", b"42")
    assert (rejection.json["event_type"], rejection.correlation) == ("rejected", b"42")
    assert rejection.json["at"] == "2026-11-22T18:04:05.123+00:00"
    assert len(answers.messages) == 2


async def test_the_state_is_retained(broker):
    async with house(broker) as (heard, client):
        states = await client.collect("edgevoice/kitchen/state")
        now = CurrentAnnouncement("a1", Urgency.HIGH, AT)
        heard.source.on_state("kitchen", SpeakerState(state="speaking", now=now, queue=2, volume=60))
        await states.wait()
        async with MqttClient(broker) as late:
            state = await (await late.collect("edgevoice/kitchen/state")).wait()
    assert state.retained
    assert state.json == {
        "state": "speaking",
        "now": {"id": "a1", "urgency": "high", "since": "2026-11-22T18:04:05.123+00:00"},
        "queue": 2,
        "held": 0,
        "volume": 60,
        "mute": False,
        "dnd": False,
        "quiet": False,
        "fault": None,
    }


async def test_it_is_available_only_once_the_speakers_were_tried_and_says_when_it_goes(broker):
    async with MqttClient(broker) as client:
        availability = await client.collect("edgevoice/pi/availability")
        async with listening(broker.port, ready=False) as heard:
            await client.publish_until_heard("edgevoice/all/say", "early")
            await heard.wait_for("early")
            assert availability.messages == []
            heard.ready.set()
            await availability.wait_for_payload("online")
            heard.source.on_event(an_event("last words"), None)
        await availability.wait_for_payload("offline")
        assert [message.payload for message in availability.messages] == [b"online", b"offline"]
        async with MqttClient(broker) as late:
            retained = await (await late.collect("edgevoice/pi/availability")).wait()
        assert (retained.payload, retained.retained) == (b"offline", True)


async def test_the_last_will_tells_that_the_process_was_killed(broker):
    code = (
        "import asyncio\n"
        "from tests.support.mqtt_source import listening\n"
        "async def run():\n"
        f"    async with listening({broker.port}):\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(run())\n"
    )
    async with MqttClient(broker) as client:
        availability = await client.collect("edgevoice/pi/availability")
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        await availability.wait_for_payload("online")
        child.send_signal(signal.SIGKILL)
        await child.wait()
        await availability.wait_for_payload("offline")
