"""Events, states and availability at a real mosquitto; acknowledgements that are told; messages that are dropped."""

import asyncio
import os
import signal
import sys

import pytest

from edgevoice import Acknowledge, EventType, Rejection, SpeakerState, Urgency
from edgevoice.outcome import CurrentAnnouncement, Timings
from edgevoice_plugins.mqtt import source
from edgevoice_plugins.mqtt.outbox import MAX_EVENTS_OFFLINE
from edgevoice_plugins.mqtt.source import AckRelay, DuplicateFilter
from edgevoice_plugins.mqtt.topics import Message, Origin
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import (
    AT,
    flush_events,
    make_event,
    publish_and_wait,
    running_source,
    source_and_client,
)


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


async def test_event_payload(broker):
    async with source_and_client(broker) as (running, client):
        events = await client.collect("edgevoice/kitchen/event")
        running.source.on_event(
            make_event(transport="http", ms=Timings(queued=2, total=3400), spoken_s=3.1), None
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


async def test_outcome_and_rejection_go_to_response_topic(broker):
    origin = Origin("me/replies", b"42")
    async with source_and_client(broker) as (running, client):
        replies = await client.collect("me/replies")
        rejections = await client.collect("edgevoice/pi/event")
        running.source.on_event(make_event(step=EventType.STARTED), origin)
        running.source.on_event(make_event(step=EventType.FINISHED), origin)
        running.source.on_event(make_event(step=EventType.EXPIRED), "the origin of another source")
        running.source.on_rejected(
            Rejection(node="pi", at=AT, target="all", reason="blank", key="text"), origin
        )
        outcome, rejection = await replies.wait_for_count(2)
        assert (await rejections.wait()).json == rejection.json
    assert (outcome.json["event_type"], outcome.correlation) == ("finished", b"42")
    assert (rejection.json["event_type"], rejection.correlation) == ("rejected", b"42")
    assert rejection.json["at"] == "2026-11-22T18:04:05.123+00:00"
    assert len(replies.messages) == 2


async def test_denied_response_topic_is_not_a_fault():
    acl = ["topic readwrite edgevoice/#"]
    with Broker(acl=acl) as broker:
        async with source_and_client(broker) as (running, client):
            running.source.on_event(make_event(), Origin("me/replies"))
            await flush_events(running, client)
            assert not any(running.faults.items)


async def test_state_is_retained(broker):
    async with source_and_client(broker) as (running, client):
        states = await client.collect("edgevoice/kitchen/state")
        now = CurrentAnnouncement("a1", Urgency.HIGH, AT)
        running.source.on_state("kitchen", SpeakerState(state="speaking", now=now, queue=2, volume=60))
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


async def test_availability_follows_ready_and_exit(broker):
    async with MqttClient(broker) as client:
        availability = await client.collect("edgevoice/pi/availability")
        async with running_source(broker.port, ready=False) as running:
            await client.publish_until_heard("edgevoice/all/say", "early")
            await running.wait_for("early")
            assert availability.messages == []
            running.ready.set()
            await availability.wait_for_payload("online")
            running.source.on_event(make_event("last words"), None)
        await availability.wait_for_payload("offline")
        assert [message.payload for message in availability.messages] == [b"online", b"offline"]
        async with MqttClient(broker) as late:
            retained = await (await late.collect("edgevoice/pi/availability")).wait()
        assert (retained.payload, retained.retained) == (b"offline", True)


async def test_last_will_publishes_offline(broker):
    code = (
        "import asyncio\n"
        "from tests.support.mqtt_source import running_source\n"
        "async def run():\n"
        f"    async with running_source({broker.port}):\n"
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


async def test_settings_are_retained_and_published_on_change(broker):
    async with source_and_client(broker) as (running, client):
        topics = {
            setting: await client.collect(f"edgevoice/kitchen/{setting}")
            for setting in ("volume", "mute", "dnd")
        }
        running.source.on_state("kitchen", SpeakerState(volume=40, mute=True))
        running.source.on_state("kitchen", SpeakerState(volume=40, mute=True, queue=3))
        running.source.on_state("kitchen", SpeakerState(volume=45, mute=False, dnd=True))
        await topics["dnd"].wait_for_payload("ON")
        await flush_events(running, client)
        assert {setting: topics[setting].messages[-1].payload for setting in topics} == {
            "volume": b"45",
            "mute": b"OFF",
            "dnd": b"ON",
        }
        assert sum(len(topics[setting].messages) for setting in topics) <= 6
        async with MqttClient(broker) as late:
            volume = await (await late.collect("edgevoice/kitchen/volume")).wait()
            assert (volume.payload, volume.retained) == (b"45", True)


async def test_outcome_is_delivered_once_the_broker_has_it(broker):
    async with running_source(broker.port) as running:
        await publish_and_wait(broker, running, "ready")
        assert running.source.durable
        urgent, normal = make_event("urgent", urgency=Urgency.HIGH), make_event("normal")
        for event in (urgent, make_event("s", EventType.STARTED), normal):
            running.source.on_event(event, None)
        async with asyncio.timeout(10):
            while len(running.delivered) < 2:
                await asyncio.sleep(0.01)
    assert running.delivered == [("mqtt", urgent), ("mqtt", normal)]


async def test_outcome_of_an_outage_is_delivered_afterwards_or_never():
    with Broker() as broker:
        async with running_source(broker.port) as running:
            await publish_and_wait(broker, running, "ready")
            broker.stop()
            events = [make_event(f"a{n}", urgency=Urgency.HIGH) for n in range(MAX_EVENTS_OFFLINE + 20)]
            for event in events:
                running.source.on_event(event, None)
            await asyncio.sleep(0.1)
            assert running.delivered == []
            broker.start()
            async with asyncio.timeout(30):
                while len(running.delivered) < MAX_EVENTS_OFFLINE:
                    await asyncio.sleep(0.01)
            await publish_and_wait(broker, running, "after")
    # The core tells those that were dropped again at the next start: it never heard of their delivery.
    delivered = [event for _, event in running.delivered]
    assert len(delivered) < len(events)
    assert delivered == events[len(events) - len(delivered) :]


async def test_source_without_broker_is_not_durable():
    async with running_source(None) as running:
        assert not running.source.durable
        running.source.on_event(make_event(urgency=Urgency.HIGH), None)
        assert running.delivered == []


def acknowledged(name, speaker="kitchen"):
    return make_event(name, EventType.FINISHED, speaker, reason="acknowledged")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_acknowledged_alert_is_told_once(broker, version):
    async with source_and_client(broker, version=version) as (running, client):
        told = await client.collect("edgevoice/all/ack")
        for speaker in ("kitchen", "hall"):
            running.source.on_event(acknowledged("a1", speaker), None)
        running.source.on_event(make_event("a2", step=EventType.FINISHED, reason="times"), None)
        running.source.on_event(acknowledged("a3"), None)
        await told.wait_for_count(2)
        await flush_events(running, client)
        # The other speakers of this node end it too.
        assert await running.wait_for("a1") == Acknowledge(target="all", payload=b"a1")
    assert [(message.payload, message.retained) for message in told.messages] == [
        (b"a1", False),
        (b"a3", False),
    ]


async def test_acknowledgement_by_all_ack_is_not_told_on(broker):
    async with source_and_client(broker) as (running, client):
        told = await client.collect("edgevoice/all/ack")
        running.source.on_event(make_event("b1", EventType.STARTED), None)
        for payload in ("theirs", "PRESS"):
            await client.publish("edgevoice/all/ack", payload)
            await running.wait_for(payload)
        for name in ("theirs", "b1"):
            running.source.on_event(acknowledged(name), None)
        await flush_events(running, client)
    assert [message.payload for message in told.messages] == [b"theirs", b"PRESS"]


@pytest.mark.parametrize("payload", [b"", b"PRESS", b"press", b" single\n", b"on"])
def test_acknowledging_every_alert_covers_active_ones_only(payload):
    relay = AckRelay()
    for speaker in ("kitchen", "hall"):
        relay.on_progress(make_event("active", EventType.QUEUED, speaker))
    relay.on_progress(make_event("over", EventType.STARTED))
    relay.should_tell(make_event("over", EventType.FINISHED))
    relay.on_acknowledge_all(payload)
    assert not relay.should_tell(acknowledged("active"))
    assert not relay.should_tell(acknowledged("active", "hall"))
    assert relay.should_tell(acknowledged("over"))
    relay.on_progress(make_event("later", EventType.STARTED))
    assert relay.should_tell(acknowledged("later"))


def test_other_outcomes_are_not_told():
    assert not AckRelay().should_tell(make_event("a1", EventType.FINISHED, reason="times"))


def test_active_announcements_are_bounded(monkeypatch):
    monkeypatch.setattr(source, "_MAX_ACTIVE", 3)
    relay = AckRelay()
    for number in range(5):
        relay.on_progress(make_event(str(number), EventType.STARTED))
    relay.on_acknowledge_all(b"")
    assert [relay.should_tell(acknowledged(str(number))) for number in range(5)] == [True, True] + [False] * 3


def test_alert_is_told_again_after_its_time_and_names_are_bounded():
    now = [0.0]
    relay = AckRelay(clock=lambda: now[0])
    assert relay.should_tell(acknowledged("a"))
    now[0] = 59
    assert not relay.should_tell(acknowledged("a"))
    now[0] = 118
    assert not relay.should_tell(acknowledged("a"))
    now[0] = 178
    assert relay.should_tell(acknowledged("a"))
    for number in range(2000):
        relay.should_tell(acknowledged(str(number)))
    assert relay.should_tell(acknowledged("a"))
    assert not relay.should_tell(acknowledged("1999"))


def make_message(packet, payload=b"x", *, redelivered=False, session=1, acks=None):
    def acknowledge():
        (acks if acks is not None else []).append(packet)

    return Message(
        topic="t",
        payload=payload,
        delivery=(session, packet),
        redelivered=redelivered,
        acknowledge=acknowledge,
    )


def test_duplicate_filter_accepts_reused_packet_id():
    duplicates = DuplicateFilter()
    assert duplicates.first_delivery(make_message(1)) is not None
    assert duplicates.first_delivery(make_message(1, redelivered=True)) is None
    assert duplicates.first_delivery(make_message(1)) is not None
    assert duplicates.first_delivery(make_message(1, b"other", redelivered=True)) is not None
    assert duplicates.first_delivery(make_message(1, session=2, redelivered=True)) is not None


def test_duplicate_filter_acknowledges_latest_delivery():
    duplicates, first_acks, later_acks, last_acks = DuplicateFilter(), [], [], []
    first = duplicates.first_delivery(make_message(1, acks=first_acks))
    duplicates.first_delivery(make_message(1, redelivered=True, acks=later_acks))
    assert (first_acks, later_acks) == ([], [])
    first.acknowledge()
    assert (first_acks, later_acks) == ([], [1])
    duplicates.first_delivery(make_message(1, redelivered=True, acks=last_acks))
    assert last_acks == [1]
