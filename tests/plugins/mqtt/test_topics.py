"""Messages at a real mosquitto become commands; retained and oversized ones are rejected."""

import asyncio

import pytest

from edgevoice import Acknowledge, Digest, InvalidCommand, Replay, SetSetting, SpeakerState, Stop
from edgevoice_plugins.mqtt.topics import Message, Origin, command_of
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import is_say, make_event, running_source, source_and_client

COMMANDS = (
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
async def test_topics_become_commands(broker, version):
    async with source_and_client(broker, version=version) as (running, client):
        await client.publish("edgevoice/kitchen/say", "hello")
        await client.publish("edgevoice/all/say/critical", "fire")
        await client.publish("edgevoice/downstairs/say/shrill", "unchanged")
        await client.publish("edgevoice/kitchen/stream/story-1", " once ")
        await client.publish("edgevoice/kitchen/stream/story-1", b"")
        for topic, payload in COMMANDS:
            await client.publish(f"edgevoice/{topic}", payload)
        await running.commands.wait_for_count(5 + len(COMMANDS))
    say, critical, shrill, chunk, end, *others = running.commands.items
    assert is_say(say, target="kitchen", payload=b"hello")
    assert is_say(critical, target="all", payload=b"fire", urgency="critical")
    assert is_say(shrill, target="downstairs", payload=b"unchanged", urgency="shrill")
    assert (chunk.target, chunk.id, chunk.payload, chunk.is_json) == ("kitchen", "story-1", b" once ", False)
    assert (end.id, end.payload) == ("story-1", b"")
    assert chunk.delivery != end.delivery
    assert not chunk.redelivered
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


async def test_mqtt5_properties_are_passed_on(broker):
    async with source_and_client(broker) as (running, client):
        await client.publish("edgevoice/all/say", "short", expiry=60)
        await client.publish(
            "edgevoice/all/stream/s",
            '{"voice": "x"}',
            content_type="application/json; charset=utf-8",
            expiry=9,
        )
        await client.publish(
            "edgevoice/all/say", "reply", response_topic="me/replies", correlation=b"\x00\x01"
        )
        await client.publish("edgevoice/all/say", "no loop", response_topic="edgevoice/all/say")
        await client.publish("edgevoice/all/stream/s", "qos 0", qos=0)
        short, chunk, with_reply, no_loop, qos0 = await running.commands.wait_for_count(5)
    assert 58 <= short.expires <= 60
    assert chunk.is_json
    assert 7 <= chunk.expires <= 9
    assert with_reply.origin == Origin("me/replies", b"\x00\x01")
    assert no_loop.origin is None
    assert qos0.delivery is None


async def test_other_targets_are_ignored(broker):
    async with source_and_client(broker) as (running, client):
        await client.publish("edgevoice/garage/say", "not here")
        await client.publish("edgevoice/kitchen/volume", "5")
        await client.publish("edgevoice/kitchen/say", "here")
        await running.wait_for("here")
    assert [command.payload for command in running.commands.items] == [b"here"]


async def test_base_topic_is_configurable(broker):
    async with (
        running_source(broker.port, base_topic="home/voice") as running,
        MqttClient(broker) as client,
    ):
        await (await client.collect("home/voice/pi/availability")).wait_for_payload("online")
        await client.publish("home/voice/all/say", "hi", response_topic="home/voice/all/say")
        assert is_say(await running.wait_for("hi"), target="all", payload=b"hi", topic="home/voice/all/say")


async def test_messages_keep_order(broker):
    async with source_and_client(broker) as (running, client):
        await asyncio.gather(*(client.publish("edgevoice/all/stream/s", str(i)) for i in range(500)))
        await running.wait_for("499")
    assert [command.payload for command in running.commands.items] == [str(i).encode() for i in range(500)]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_retained_copies_are_rejected_on_every_connection(broker, version):
    async with MqttClient(broker) as client:
        topics = {"kitchen/say", "all/say/critical", "all/stream/s"} | {topic for topic, _ in COMMANDS}
        for topic in topics:
            await client.publish(f"edgevoice/{topic}", "old news", retain=True)
    for turn in range(3):
        async with source_and_client(broker, version=version) as (running, client):
            await client.publish("edgevoice/kitchen/say/low", f"fresh {turn}")
            await running.wait_for(f"fresh {turn}")
            obeyed = [
                command for command in running.commands.items if not isinstance(command, InvalidCommand)
            ]
            refused = [command for command in running.commands.items if isinstance(command, InvalidCommand)]
        assert [command.payload for command in obeyed] == [f"fresh {turn}".encode()]
        assert all(command.reason == "retained" for command in refused)
        # MQTT 5 asks the broker not to send them at all; 3.1.1 cannot.
        assert len(refused) == (0 if version == "5" else len(topics))


async def test_retained_message_published_live_is_accepted(broker):
    async with source_and_client(broker) as (running, client):
        await client.publish("edgevoice/all/say", "news", retain=True)
        assert is_say(await running.wait_for("news"), target="all", payload=b"news")


async def test_oversized_payload_keeps_connection(broker):
    async with source_and_client(broker) as (running, client):
        await client.publish("edgevoice/all/say", "x" * 100 * 1024)
        await client.publish("edgevoice/all/say", "y" * 64 * 1024)
        await client.publish("edgevoice/all/say", "z" * (64 * 1024 + 1))
        await client.publish("edgevoice/all/say", "next")
        await running.wait_for("next")
        assert not any(running.faults.items)
    largest, too_large, _ = running.commands.items
    assert len(largest.payload) == 64 * 1024
    assert isinstance(too_large, InvalidCommand)
    assert too_large.reason == "too large"
    # The source and the client: neither was disconnected.
    assert broker.text_of_log().count("New client connected from 127.0.0.1") == 2


async def test_oversized_payload_is_rejected_on_mqtt3(broker):
    async with source_and_client(broker, version="3.1.1") as (running, client):
        await client.publish("edgevoice/all/say", "x" * 100 * 1024)
        await client.publish("edgevoice/all/say", "next")
        await running.wait_for("next")
    assert isinstance(running.commands.items[0], InvalidCommand)
    assert running.commands.items[0].reason == "too large"


@pytest.mark.parametrize(
    "topic",
    [
        *("a/+/b", "#", "nul\x00", "", "x" * 2000),
        *("edgevoice", "edgevoice/all/event", "$SYS/broker", "$share/group/reply"),
        # Commands of an EdgeVoice with another base topic.
        *("home/voice/all/say", "other/kitchen/say/critical", "other/all/stop", "other/kitchen/volume/set"),
    ],
)
def test_forbidden_response_topic_is_ignored(topic):
    command = command_of("edgevoice", Message(topic="edgevoice/all/say", payload=b"hi", response_topic=topic))
    assert is_say(command, target="all", payload=b"hi")
    assert command.origin is None


@pytest.mark.parametrize("topic", ["me/replies", "edgevoices/x", "app/say", "house/lamp/set"])
def test_other_response_topics_are_allowed(topic):
    command = command_of("edgevoice", Message(topic="edgevoice/all/say", payload=b"hi", response_topic=topic))
    assert command.origin == Origin(topic)


def test_say_carries_the_mqtt_topic():
    message = Message(topic="edgevoice/kitchen/say/high", payload=b"hi")
    assert command_of("edgevoice", message).topic == "edgevoice/kitchen/say/high"


async def test_source_without_host_waits():
    async with running_source(None) as running:
        running.source.on_event(make_event(), None)
        running.source.on_event(make_event(), Origin("me"))
        running.source.on_state("kitchen", SpeakerState())
        assert running.source.stall_reason() is None
    assert running.faults.items == []
