"""What the source `mqtt` makes of messages at a real mosquitto, and what it never obeys."""

import asyncio

import pytest

from edgevoice.commands import Acknowledge, Digest, InvalidCommand, Replay, SetSetting, Stop
from edgevoice.outcome import SpeakerState
from edgevoice_plugins.mqtt.topics import Message, Origin, command_of
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import a_say, an_event, house, listening

ASKED = (
    ("all/stop", "all"),
    ("kitchen/ack", "a1"),
    ("all/ack", ""),
    ("downstairs/replay", "3"),
    ("kitchen/digest", "PRESS"),
    ("kitchen/volume/set", "+5"),
    ("all/mute/set", "ON"),
    ("downstairs/dnd/set", "30"),
)


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_each_topic_becomes_its_command(broker, version):
    async with house(broker, version=version) as (heard, client):
        await client.publish("edgevoice/kitchen/say", "hello")
        await client.publish("edgevoice/all/say/critical", "fire")
        await client.publish("edgevoice/downstairs/say/shrill", "passed on as it is")
        await client.publish("edgevoice/kitchen/stream/story-1", " once ")
        await client.publish("edgevoice/kitchen/stream/story-1", b"")
        for topic, payload in ASKED:
            await client.publish(f"edgevoice/{topic}", payload)
        await heard.commands.wait_for_count(5 + len(ASKED))
    say, critical, shrill, piece, end, *others = heard.commands.items
    assert a_say(say, target="kitchen", payload=b"hello")
    assert a_say(critical, target="all", payload=b"fire", urgency="critical")
    assert a_say(shrill, target="downstairs", payload=b"passed on as it is", urgency="shrill")
    assert (piece.target, piece.id, piece.payload, piece.is_json) == ("kitchen", "story-1", b" once ", False)
    assert (end.id, end.payload) == ("story-1", b"")
    assert piece.delivery != end.delivery
    assert not piece.redelivered
    assert others == [
        Stop(target="all", payload=b"all"),
        Acknowledge(target="kitchen", payload=b"a1"),
        Acknowledge(target="all", payload=b""),
        Replay(target="downstairs", payload=b"3"),
        Digest(target="kitchen", payload=b"PRESS"),
        SetSetting(target="kitchen", setting="volume", payload=b"+5"),
        SetSetting(target="all", setting="mute", payload=b"ON"),
        SetSetting(target="downstairs", setting="dnd", payload=b"30"),
    ]


async def test_what_mqtt_5_tells_besides_is_handed_on(broker):
    async with house(broker) as (heard, client):
        await client.publish("edgevoice/all/say", "short", expiry=60)
        await client.publish(
            "edgevoice/all/stream/s",
            '{"voice": "x"}',
            content_type="application/json; charset=utf-8",
            expiry=9,
        )
        await client.publish(
            "edgevoice/all/say", "answer", response_topic="me/answers", correlation=b"\x00\x01"
        )
        await client.publish("edgevoice/all/say", "no loop", response_topic="edgevoice/all/say")
        await client.publish("edgevoice/all/stream/s", "quick", qos=0)
        short, piece, answer, no_loop, quick = await heard.commands.wait_for_count(5)
    assert 58 <= short.expires <= 60
    assert piece.is_json
    assert 7 <= piece.expires <= 9
    assert answer.origin == Origin("me/answers", b"\x00\x01")
    assert no_loop.origin is None
    assert quick.delivery is None


async def test_other_targets_are_not_listened_to(broker):
    async with house(broker) as (heard, client):
        await client.publish("edgevoice/garage/say", "not here")
        await client.publish("edgevoice/kitchen/volume", "5")
        await client.publish("edgevoice/kitchen/say", "here")
        await heard.wait_for("here")
    assert [command.payload for command in heard.commands.items] == [b"here"]


async def test_the_base_topic_is_a_choice(broker):
    async with (
        listening(broker.port, base_topic="home/voice") as heard,
        MqttClient(broker) as client,
    ):
        await (await client.collect("home/voice/pi/availability")).wait_for_payload("online")
        await client.publish("home/voice/all/say", "hi", response_topic="home/voice/all/say")
        assert a_say(await heard.wait_for("hi"), target="all", payload=b"hi")


async def test_messages_keep_their_order(broker):
    async with house(broker) as (heard, client):
        await asyncio.gather(*(client.publish("edgevoice/all/stream/s", str(i)) for i in range(500)))
        await heard.wait_for("499")
    assert [command.payload for command in heard.commands.items] == [str(i).encode() for i in range(500)]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_retained_copies_are_never_obeyed_however_often_it_comes_back(broker, version):
    async with MqttClient(broker) as client:
        topics = {"kitchen/say", "all/say/critical", "all/stream/s"} | {topic for topic, _ in ASKED}
        for topic in topics:
            await client.publish(f"edgevoice/{topic}", "old news", retain=True)
    for turn in range(3):
        async with house(broker, version=version) as (heard, client):
            await client.publish("edgevoice/kitchen/say/low", f"fresh {turn}")
            await heard.wait_for(f"fresh {turn}")
            obeyed = [command for command in heard.commands.items if not isinstance(command, InvalidCommand)]
            refused = [command for command in heard.commands.items if isinstance(command, InvalidCommand)]
        assert [command.payload for command in obeyed] == [f"fresh {turn}".encode()]
        assert all(command.reason == "retained" for command in refused)
        # MQTT 5 asks the broker not to send them at all; 3.1.1 cannot.
        assert len(refused) == (0 if version == "5" else len(topics))


async def test_a_message_published_as_retained_while_it_listens_is_news(broker):
    async with house(broker) as (heard, client):
        await client.publish("edgevoice/all/say", "news", retain=True)
        assert a_say(await heard.wait_for("news"), target="all", payload=b"news")


async def test_100_kib_are_dropped_and_the_connection_is_kept(broker):
    async with house(broker) as (heard, client):
        await client.publish("edgevoice/all/say", "x" * 100 * 1024)
        await client.publish("edgevoice/all/say", "y" * 64 * 1024)
        await client.publish("edgevoice/all/say", "z" * (64 * 1024 + 1))
        await client.publish("edgevoice/all/say", "next")
        await heard.wait_for("next")
        assert [fault for fault in heard.faults.items if fault is not None] == []
    largest, too_large, _ = heard.commands.items
    assert len(largest.payload) == 64 * 1024
    assert isinstance(too_large, InvalidCommand)
    assert too_large.reason == "too large"
    assert broker.text_of_log().count("New client connected from 127.0.0.1") == 2


async def test_100_kib_are_refused_where_the_broker_cannot_drop_them(broker):
    async with house(broker, version="3.1.1") as (heard, client):
        await client.publish("edgevoice/all/say", "x" * 100 * 1024)
        await client.publish("edgevoice/all/say", "next")
        await heard.wait_for("next")
    assert isinstance(heard.commands.items[0], InvalidCommand)
    assert heard.commands.items[0].reason == "too large"


@pytest.mark.parametrize("topic", ["a/+/b", "#", "nul\x00", ""])
async def test_an_answer_that_cannot_be_published_harms_nobody(topic):
    command = command_of("edgevoice", Message(topic="edgevoice/all/say", payload=b"hi", response_topic=topic))
    assert a_say(command, target="all", payload=b"hi")


async def test_without_a_host_it_waits():
    async with listening(None) as heard:
        heard.source.on_event(an_event(), None)
        heard.source.on_event(an_event(), Origin("me"))
        heard.source.on_state("kitchen", SpeakerState())
        assert heard.source.stall_reason() is None
    assert heard.faults.items == []
