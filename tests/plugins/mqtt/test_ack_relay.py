"""Which acknowledgements a node tells the others about, and which it got from them."""

import pytest

from edgevoice import Acknowledge, EventType
from edgevoice_plugins.mqtt import ack_relay
from edgevoice_plugins.mqtt.ack_relay import AckRelay
from tests.support.broker import Broker
from tests.support.mqtt_source import flush_events, make_event, source_and_client


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


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
        assert not relay.should_tell(make_event("active", EventType.QUEUED, speaker))
    relay.should_tell(make_event("over", EventType.STARTED))
    relay.should_tell(make_event("over", EventType.FINISHED))
    relay.on_acknowledge_all(payload)
    assert not relay.should_tell(acknowledged("active"))
    assert not relay.should_tell(acknowledged("active", "hall"))
    assert relay.should_tell(acknowledged("over"))
    relay.should_tell(make_event("later", EventType.STARTED))
    assert relay.should_tell(acknowledged("later"))


def test_other_outcomes_are_not_told():
    assert not AckRelay().should_tell(make_event("a1", EventType.FINISHED, reason="times"))


def test_active_announcements_are_bounded(monkeypatch):
    monkeypatch.setattr(ack_relay, "_MAX_ACTIVE", 3)
    relay = AckRelay()
    for number in range(5):
        relay.should_tell(make_event(str(number), EventType.STARTED))
    relay.on_acknowledge_all(b"")
    assert [relay.should_tell(acknowledged(str(number))) for number in range(5)] == [True, True] + [False] * 3
