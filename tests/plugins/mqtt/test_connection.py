"""PUBACKs: sent once a message is safe, in order of arrival, and only on the connection it arrived on."""

import pytest

from edgevoice_plugins.mqtt.connection import OrderedAcks
from edgevoice_plugins.mqtt.options import Timeouts
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import running_source


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


def payloads(running):
    return [command.payload for command in running.commands.items]


async def test_unacknowledged_message_is_delivered_to_next_process(broker):
    async with MqttClient(broker) as client:
        async with running_source(broker.port, acknowledges=False) as running:
            await client.publish_until_heard("edgevoice/all/say", "safe")
            (await running.wait_for("safe")).acknowledge()
            await client.publish("edgevoice/all/say", "not safe")
            assert not (await running.wait_for("not safe")).redelivered
        async with running_source(broker.port) as again:
            await client.publish("edgevoice/all/say", "last")
            await again.wait_for("last")
    assert payloads(again) == [b"not safe", b"last"]
    assert [command.redelivered for command in again.commands.items] == [True, False]


async def test_redelivery_to_same_process_is_dropped(broker):
    async with running_source(broker.port, acknowledges=False) as running:
        async with MqttClient(broker) as client:
            await client.publish_until_heard("edgevoice/all/say", "once")
            await running.wait_for("once")
            await client.publish("edgevoice/all/say", "twice the same text")
            await client.publish("edgevoice/all/say", "twice the same text")
            await running.commands.wait_for_count(3)
        broker.restart()
        async with MqttClient(broker) as client:
            await client.publish_until_heard("edgevoice/all/say", "after")
            await running.wait_for("after")
        for command in running.commands.items:
            command.acknowledge()
    async with running_source(broker.port) as again, MqttClient(broker) as client:
        await client.publish("edgevoice/all/say", "last")
        await again.wait_for("last")
    assert payloads(running) == [b"once", b"twice the same text", b"twice the same text", b"after"]
    assert payloads(again) == [b"last"]


async def test_overdue_message_is_acknowledged(broker):
    timeouts = Timeouts(acknowledge_s=0.2)
    async with (
        running_source(broker.port, acknowledges=False, timeouts=timeouts) as running,
        MqttClient(broker) as client,
    ):
        await client.publish_until_heard("edgevoice/all/say", "0")
        # More than mosquitto leaves unacknowledged (20).
        for number in range(1, 60):
            await client.publish("edgevoice/all/say", str(number))
        await running.commands.wait_for_count(60)
    assert payloads(running) == [str(number).encode() for number in range(60)]


async def test_ordered_acks_keep_arrival_order():
    sent = []
    acks = OrderedAcks(sent.append, max_wait_s=30)
    first, second, third = (acks.defer(packet) for packet in (7, 8, 9))
    second()
    third()
    assert sent == []
    first()
    first()
    assert sent == [7, 8, 9]
    acks.close()


async def test_ordered_acks_send_nothing_after_close():
    sent = []
    acks = OrderedAcks(sent.append, max_wait_s=30)
    acknowledge = acks.defer(7)
    acks.close()
    acknowledge()
    assert sent == []
