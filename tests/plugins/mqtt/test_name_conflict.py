"""What nodes at one broker tell each other: which alert was acknowledged, and whose speaker is whose."""

import json

import pytest

from edgevoice.commands import Acknowledge
from edgevoice.outcome import EventType, SpeakerState
from edgevoice_plugins.mqtt.recent import Recent
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import an_event, house, listening, says

CLAIMED = "speaker kitchen of node {} is also claimed by node {}; give it another name on one of them"


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


def acknowledged(name, speaker="kitchen"):
    return an_event(name, step=EventType.FINISHED, speaker=speaker, reason="acknowledged")


async def quiet(heard, client):
    """Whatever was published until now has been published."""
    marks = await client.collect("edgevoice/kitchen/event")
    heard.source.on_event(an_event("mark"), None)
    await marks.wait(lambda told: told.json["id"] == "mark")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_an_alert_that_was_acknowledged_here_is_told_to_all_once(broker, version):
    async with house(broker, version=version) as (heard, client):
        told = await client.collect("edgevoice/all/ack")
        for speaker in ("kitchen", "hall"):
            heard.source.on_event(acknowledged("a1", speaker), None)
        heard.source.on_event(an_event("a2", step=EventType.FINISHED, reason="times"), None)
        heard.source.on_event(acknowledged("a3"), None)
        await told.wait_for_count(2)
        await quiet(heard, client)
        # So that the other speakers of this node end it, too.
        assert await heard.wait_for("a1") == Acknowledge(target="all", payload=b"a1")
    assert [(message.payload, message.retained) for message in told.messages] == [
        (b"a1", False),
        (b"a3", False),
    ]


async def test_what_another_node_told_is_not_told_again(broker):
    async with house(broker) as (heard, client):
        told = await client.collect("edgevoice/all/ack")
        await client.publish("edgevoice/all/ack", "theirs")
        await heard.wait_for("theirs")
        heard.source.on_event(acknowledged("theirs"), None)
        await quiet(heard, client)
    assert [message.payload for message in told.messages] == [b"theirs"]


def test_what_is_recent_is_no_news_until_some_time_has_gone_by():
    now = [0.0]
    recent = Recent(60, clock=lambda: now[0])
    assert recent.note("a")
    now[0] = 59
    assert not recent.note("a")
    now[0] = 118
    assert not recent.note("a")
    now[0] = 178
    assert recent.note("a")
    for number in range(2000):
        recent.note(str(number))
    assert recent.note("a")
    assert not recent.note("1999")


async def test_switches_are_retained_as_set_and_published_only_when_they_change(broker):
    async with house(broker) as (heard, client):
        topics = {
            what: await client.collect(f"edgevoice/kitchen/{what}") for what in ("volume", "mute", "dnd")
        }
        heard.source.on_state("kitchen", SpeakerState(volume=40, mute=True))
        heard.source.on_state("kitchen", SpeakerState(volume=40, mute=True, queue=3))
        heard.source.on_state("kitchen", SpeakerState(volume=45, mute=False, dnd=True))
        await topics["dnd"].wait_for_payload("ON")
        await quiet(heard, client)
        assert {what: topics[what].messages[-1].payload for what in topics} == {
            "volume": b"45",
            "mute": b"OFF",
            "dnd": b"ON",
        }
        assert sum(len(topics[what].messages) for what in topics) <= 6
        async with MqttClient(broker) as late:
            volume = await (await late.collect("edgevoice/kitchen/volume")).wait()
            assert (volume.payload, volume.retained) == (b"45", True)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_speaker_that_two_nodes_claim_is_a_fault_on_both_until_one_goes(broker, version):
    async with listening(broker.port, node="pi", version=version) as heard:
        await says(broker, heard, "alone")
        async with listening(broker.port, node="attic", version=version, client_id="attic") as other:
            for one, names in ((heard, ("pi", "attic")), (other, ("attic", "pi"))):
                assert await one.faults.wait(bool) == CLAIMED.format(*names)
        del heard.faults.items[: heard.faults.items.index(CLAIMED.format("pi", "attic")) + 1]
        assert await heard.faults.wait() is None


async def test_what_a_node_that_is_gone_had_claimed_is_free(broker):
    async with MqttClient(broker) as client:
        await client.publish("edgevoice/attic/speakers", json.dumps(["kitchen"]), retain=True)
        await client.publish("edgevoice/attic/availability", "offline", retain=True)
        await client.publish("edgevoice/broken/speakers", b"\xff{", retain=True)
        await client.publish("edgevoice/broken/availability", "online", retain=True)
        async with listening(broker.port) as heard:
            await says(broker, heard, "mine")
            assert not any(heard.faults.items)
            await client.publish("edgevoice/attic/availability", "online", retain=True)
            assert await heard.faults.wait(bool) == CLAIMED.format("pi", "attic")
            own = await (await client.collect("edgevoice/pi/speakers")).wait()
            assert (own.json, own.retained) == (["kitchen"], True)
