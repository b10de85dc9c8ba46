"""When the source `mqtt` acknowledges: once a message is safe, in order, and only on the connection it came on."""

import asyncio

import pytest

from edgevoice.announcement import Urgency
from edgevoice.outcome import EventType
from edgevoice_plugins.mqtt import acknowledgements
from edgevoice_plugins.mqtt.acknowledgements import Acknowledgements
from edgevoice_plugins.mqtt.deliveries import Deliveries
from edgevoice_plugins.mqtt.outbox import KEPT_OFFLINE
from edgevoice_plugins.mqtt.topics import Message
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import an_event, listening, says


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


def payloads(heard):
    return [command.payload for command in heard.commands.items]


async def test_what_was_not_safe_comes_again_and_what_was_does_not(broker):
    async with MqttClient(broker) as client:
        async with listening(broker.port, safe=False) as heard:
            await client.publish_until_heard("edgevoice/all/say", "safe")
            (await heard.wait_for("safe")).acknowledge()
            await client.publish("edgevoice/all/say", "not safe")
            assert not (await heard.wait_for("not safe")).redelivered
        async with listening(broker.port) as again:
            await client.publish("edgevoice/all/say", "last")
            await again.wait_for("last")
    assert payloads(again) == [b"not safe", b"last"]
    assert [command.redelivered for command in again.commands.items] == [True, False]


async def test_delivered_again_to_the_same_process_it_is_not_taken_again(broker):
    async with listening(broker.port, safe=False) as heard:
        async with MqttClient(broker) as client:
            await client.publish_until_heard("edgevoice/all/say", "once")
            await heard.wait_for("once")
            await client.publish("edgevoice/all/say", "twice the same text")
            await client.publish("edgevoice/all/say", "twice the same text")
            await heard.commands.wait_for_count(3)
        broker.restart()
        async with MqttClient(broker) as client:
            await client.publish_until_heard("edgevoice/all/say", "after")
            await heard.wait_for("after")
        for command in heard.commands.items:
            command.acknowledge()
    async with listening(broker.port) as again, MqttClient(broker) as client:
        await client.publish("edgevoice/all/say", "last")
        await again.wait_for("last")
    assert payloads(heard) == [b"once", b"twice the same text", b"twice the same text", b"after"]
    assert payloads(again) == [b"last"]


async def test_one_that_is_never_safe_does_not_stop_the_others(broker, monkeypatch, caplog):
    monkeypatch.setattr(acknowledgements, "LATEST", 0.2)
    async with listening(broker.port, safe=False) as heard, MqttClient(broker) as client:
        await client.publish_until_heard("edgevoice/all/say", "0")
        # More than mosquitto leaves unacknowledged (20).
        for number in range(1, 60):
            await client.publish("edgevoice/all/say", str(number))
        await heard.commands.wait_for_count(60)
    assert payloads(heard) == [str(number).encode() for number in range(60)]
    assert "not safe within" in caplog.text


async def test_acknowledgements_go_out_in_the_order_of_the_messages_and_once():
    sent = []
    due = Acknowledgements(sent.append)
    first, second, third = (due.expect(packet) for packet in (7, 8, 9))
    second()
    third()
    assert sent == []
    first()
    first()
    assert sent == [7, 8, 9]
    due.close()


async def test_nothing_is_acknowledged_on_a_connection_that_is_gone():
    sent = []
    due = Acknowledgements(sent.append)
    acknowledge = due.expect(7)
    due.close()
    acknowledge()
    assert sent == []


def a_message(packet, payload=b"x", *, again=False, session=1, told=None):
    def acknowledge():
        (told if told is not None else []).append(packet)

    return Message(
        topic="t",
        payload=payload,
        delivery=(session, packet),
        redelivered=again,
        acknowledge=acknowledge,
    )


def test_a_new_message_with_the_packet_id_of_an_old_one_is_taken():
    taken = Deliveries()
    assert taken.first(a_message(1)) is not None
    assert taken.first(a_message(1, again=True)) is None
    assert taken.first(a_message(1)) is not None
    assert taken.first(a_message(1, b"other", again=True)) is not None
    assert taken.first(a_message(1, session=2, again=True)) is not None


def test_a_message_that_was_delivered_again_is_acknowledged_where_it_came_last():
    taken, told, later, at_once = Deliveries(), [], [], []
    first = taken.first(a_message(1, told=told))
    taken.first(a_message(1, again=True, told=later))
    assert (told, later) == ([], [])
    first.acknowledge()
    assert (told, later) == ([], [1])
    taken.first(a_message(1, again=True, told=at_once))
    assert at_once == [1]


async def test_an_outcome_is_delivered_once_the_broker_has_it(broker):
    async with listening(broker.port) as heard:
        await says(broker, heard, "ready")
        assert heard.source.durable
        urgent, normal = an_event("urgent", urgency=Urgency.HIGH), an_event("normal")
        for event in (urgent, an_event("s", step=EventType.STARTED), normal):
            heard.source.on_event(event, None)
        async with asyncio.timeout(10):
            while len(heard.delivered) < 2:
                await asyncio.sleep(0.01)
    assert heard.delivered == [("mqtt", urgent), ("mqtt", normal)]


async def test_an_outcome_of_an_outage_is_delivered_after_it_or_never(broker):
    async with listening(broker.port) as heard:
        await says(broker, heard, "ready")
        broker.stop()
        events = [an_event(f"a{number}", urgency=Urgency.HIGH) for number in range(KEPT_OFFLINE + 20)]
        for event in events:
            heard.source.on_event(event, None)
        await asyncio.sleep(0.1)
        assert heard.delivered == []
        broker.start()
        async with asyncio.timeout(30):
            while len(heard.delivered) < KEPT_OFFLINE:
                await asyncio.sleep(0.01)
        await says(broker, heard, "after")
    # Those that were dropped are told again at the next start: the core never heard that they were delivered.
    delivered = [event for _, event in heard.delivered]
    assert len(delivered) < len(events)
    assert delivered == events[len(events) - len(delivered) :]


async def test_without_a_broker_nothing_is_promised():
    async with listening(None) as heard:
        assert not heard.source.durable
        heard.source.on_event(an_event(urgency=Urgency.HIGH), None)
        assert heard.delivered == []
