"""Lost connections: reconnecting, and the messages and events that survive."""

import ctypes
import signal
import threading

import pytest

from edgevoice import SpeakerState
from edgevoice_plugins.mqtt import reconnect
from edgevoice_plugins.mqtt.connection import Connection
from edgevoice_plugins.mqtt.options import THREAD_NAME, Timeouts
from edgevoice_plugins.mqtt.outbox import MAX_EVENTS_OFFLINE
from tests.support.arrivals import Arrivals
from tests.support.broker import Broker, MqttClient
from tests.support.fake_broker import packet, serving
from tests.support.mqtt_source import FILTERS, make_event, publish_and_wait, running_source

QUICK = Timeouts(retry_min_s=0.01)


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


async def test_connects_once_broker_starts():
    with Broker(started=False) as broker:
        async with running_source(broker.port) as running:
            fault = await running.faults.wait()
            broker.start()
            await publish_and_wait(broker, running, "here at last")
            assert await running.faults.wait(lambda fault: fault is None) is None
    assert f"no broker listens at 127.0.0.1:{broker.port}" in fault
    assert running.faults.items == [fault, None]


async def test_outage_is_one_fault(broker, monkeypatch):
    attempts = Arrivals("attempts")
    connect = reconnect.connected
    monkeypatch.setattr(reconnect, "connected", lambda *given: attempts.put(given) or connect(*given))
    async with running_source(broker.port, timeouts=QUICK) as running:
        await publish_and_wait(broker, running, "before")
        broker.stop()
        lost = await running.faults.wait()
        await attempts.wait_for_count(4)
        broker.start()
        await running.faults.wait(lambda fault: fault is None)
    assert running.faults.items == [lost, None]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_resubscribes_after_broker_restart(broker, how):
    async with running_source(broker.port) as running:
        running.source.on_state("kitchen", SpeakerState(volume=7))
        await publish_and_wait(broker, running, "before")
        broker.stop(how)
        lost = await running.faults.wait()
        broker.start()
        await publish_and_wait(broker, running, "after")
        await running.faults.wait(lambda fault: fault is None)
        async with MqttClient(broker) as client:
            state = await (await client.collect("edgevoice/kitchen/state")).wait()
            availability = await client.collect("edgevoice/pi/availability")
            await availability.wait_for_payload("online")
    assert state.json["volume"] == 7
    assert "ended" in lost
    assert running.faults.items == [lost, None]
    assert [command.payload for command in running.commands.items].count(b"before") == 1


async def test_messages_of_short_outage_arrive_once(broker):
    async with running_source(broker.port) as running, MqttClient(broker) as client:
        await publish_and_wait(broker, running, "before")
        _kill_network_thread()
        await client.publish("edgevoice/kitchen/stream/s", "meanwhile")
        await running.faults.wait()
        await client.publish("edgevoice/kitchen/stream/s", "still away")
        await running.faults.wait(lambda fault: fault is None)
        await publish_and_wait(broker, running, "after")
    assert [command.payload for command in running.commands.items] == [
        b"before",
        b"meanwhile",
        b"still away",
        b"after",
    ]


async def test_events_of_outage_are_bounded(broker):
    async with running_source(broker.port) as running:
        await publish_and_wait(broker, running, "before")
        broker.stop()
        await running.faults.wait()
        for number in range(MAX_EVENTS_OFFLINE + 300):
            running.source.on_event(make_event(str(number)), None)
            running.source.on_state("kitchen", SpeakerState(queue=number))
        broker.start()
        async with MqttClient(broker) as client:
            events = await client.collect("edgevoice/kitchen/event")
            states = await client.collect("edgevoice/kitchen/state")
            await events.wait(lambda message: message.json["id"] == str(MAX_EVENTS_OFFLINE + 299), within=30)
            await states.wait(lambda message: message.json["queue"] == MAX_EVENTS_OFFLINE + 299)
    assert [message.json["id"] for message in events.messages] == [
        str(number) for number in range(300, MAX_EVENTS_OFFLINE + 300)
    ]
    assert len(states.messages) == 1


async def test_burst_of_events_is_complete_and_ordered(broker):
    async with running_source(broker.port) as running, MqttClient(broker) as client:
        events = await client.collect("edgevoice/kitchen/event")
        await publish_and_wait(broker, running, "ready")
        for number in range(2000):
            running.source.on_event(make_event(str(number)), None)
        await events.wait(lambda message: message.json["id"] == "1999")
    assert [message.json["id"] for message in events.messages] == [str(number) for number in range(2000)]


async def test_events_during_shutdown_are_published(broker):
    async with MqttClient(broker) as client:
        events = await client.collect("edgevoice/kitchen/event")
        async with running_source(broker.port) as running:
            await publish_and_wait(broker, running, "before")
            for number in range(50):
                running.source.on_event(make_event(str(number)), None)
        await events.wait_for_count(50)


async def test_message_during_shutdown_waits_at_broker(broker):
    async with MqttClient(broker) as client:
        async with running_source(broker.port) as running:
            await publish_and_wait(broker, running, "before")
            running.stop()
            running.source.on_event(make_event("stopped"), None)
            await client.publish("edgevoice/all/say", "too late")
        async with running_source(broker.port) as again:
            await again.wait_for("too late")
    assert [command.payload for command in running.commands.items] == [b"before"]


async def test_repeated_short_connections_are_one_fault():
    connections = Arrivals("connections")

    async def broker(reader, writer):
        connections.put(await packet(reader))
        writer.write(b"\x20\x03\x00\x00\x00")
        subscribe = await packet(reader)
        writer.write(b"\x90" + bytes([3 + FILTERS]) + subscribe[:2] + b"\x00" + b"\x01" * FILTERS)
        await writer.drain()
        writer.close()

    async with serving(broker) as port, running_source(port, ready=False, timeouts=QUICK) as running:
        fault = await running.faults.wait(lambda fault: fault is not None and "mqtt.client_id" in fault)
        await connections.wait_for_count(6)
    assert running.faults.items.index(fault) == len(running.faults.items) - 1


async def test_dead_network_thread_is_replaced(broker):
    async with running_source(broker.port) as running:
        await publish_and_wait(broker, running, "before")
        _kill_network_thread()
        await publish_and_wait(broker, running, "deadly")
        fault = await running.faults.wait()
        await publish_and_wait(broker, running, "after")
        assert running.source.stall_reason() is None
    assert "network thread has died" in fault


async def test_hung_network_thread_is_replaced(broker, monkeypatch):
    hold = threading.Event()
    connections = []
    monkeypatch.setattr(Connection, "_on_message", _hang_once(Connection._on_message, hold, connections))
    try:
        async with running_source(broker.port, timeouts=Timeouts(thread_progress_s=1.0)) as running:
            async with MqttClient(broker) as client:
                await client.publish_until_heard("edgevoice/all/say", "before")
                fault = await running.faults.wait(within=30)
                await running.wait_for("before")
            hold.set()
            await publish_and_wait(broker, running, "after")
    finally:
        hold.set()
    assert [command.payload for command in running.commands.items] == [b"before", b"after"]
    assert "network thread has stopped" in fault


def _hang_once(deliver, hold, hung):
    def hanging(self, *values):
        if not hung:
            hung.append(self)
            hold.wait()
        deliver(self, *values)

    return hanging


def _kill_network_thread():
    """Have the interpreter raise SystemExit in the network thread as soon as it leaves its wait."""
    [thread] = [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
