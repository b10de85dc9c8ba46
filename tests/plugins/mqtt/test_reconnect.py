"""The link of the source `mqtt` to its broker: lost and found again, and what is not lost with it."""

import ctypes
import signal
import threading

import pytest

from edgevoice.outcome import SpeakerState
from edgevoice_plugins.mqtt import link
from edgevoice_plugins.mqtt.connection import Connection
from edgevoice_plugins.mqtt.options import THREAD
from edgevoice_plugins.mqtt.outbox import KEPT_OFFLINE
from tests.support.arrivals import Arrivals
from tests.support.broker import Broker, MqttClient
from tests.support.fake_broker import packet, serving
from tests.support.mqtt_source import FILTERS, an_event, listening, says


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


async def test_a_broker_that_comes_later_is_found():
    with Broker(started=False) as broker:
        async with listening(broker.port) as heard:
            fault = await heard.faults.wait()
            broker.start()
            await says(broker, heard, "here at last")
            assert await heard.faults.wait(lambda fault: fault is None) is None
    assert f"no broker listens at 127.0.0.1:{broker.port}" in fault
    assert heard.faults.items == [fault, None]


async def test_an_outage_is_one_fault_however_many_attempts_fail(broker, monkeypatch):
    attempts = Arrivals("attempts")
    connect = link.connected
    monkeypatch.setattr(link, "connected", lambda *given: attempts.put(given) or connect(*given))
    monkeypatch.setattr(link, "_SHORTEST", 0.01)
    async with listening(broker.port) as heard:
        await says(broker, heard, "before")
        broker.stop()
        lost = await heard.faults.wait()
        await attempts.wait_for_count(4)
        broker.start()
        await heard.faults.wait(lambda fault: fault is None)
    assert heard.faults.items == [lost, None]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_broker_that_comes_back_is_subscribed_again(broker, how):
    async with listening(broker.port) as heard:
        heard.source.on_state("kitchen", SpeakerState(volume=7))
        await says(broker, heard, "before")
        broker.stop(how)
        lost = await heard.faults.wait()
        broker.start()
        await says(broker, heard, "after")
        await heard.faults.wait(lambda fault: fault is None)
        async with MqttClient(broker) as client:
            state = await (await client.collect("edgevoice/kitchen/state")).wait()
            availability = await client.collect("edgevoice/pi/availability")
            await availability.wait_for_payload("online")
    assert state.json["volume"] == 7
    assert "ended" in lost
    assert heard.faults.items == [lost, None]
    assert [command.payload for command in heard.commands.items].count(b"before") == 1


async def test_what_is_published_while_it_is_away_for_a_moment_is_heard_once(broker):
    async with listening(broker.port) as heard, MqttClient(broker) as client:
        await says(broker, heard, "before")
        _kill_network_thread()
        await client.publish("edgevoice/kitchen/stream/s", "meanwhile")
        await heard.faults.wait()
        await client.publish("edgevoice/kitchen/stream/s", "still away")
        await heard.faults.wait(lambda fault: fault is None)
        await says(broker, heard, "after")
    assert [command.payload for command in heard.commands.items] == [
        b"before",
        b"meanwhile",
        b"still away",
        b"after",
    ]


async def test_events_of_an_outage_are_bounded_and_the_latest_are_kept(broker):
    async with listening(broker.port) as heard:
        await says(broker, heard, "before")
        broker.stop()
        await heard.faults.wait()
        for number in range(KEPT_OFFLINE + 300):
            heard.source.on_event(an_event(str(number)), None)
            heard.source.on_state("kitchen", SpeakerState(queue=number))
        broker.start()
        async with MqttClient(broker) as client:
            events = await client.collect("edgevoice/kitchen/event")
            states = await client.collect("edgevoice/kitchen/state")
            await events.wait(lambda message: message.json["id"] == str(KEPT_OFFLINE + 299), within=30)
            await states.wait(lambda message: message.json["queue"] == KEPT_OFFLINE + 299)
    assert [message.json["id"] for message in events.messages] == [
        str(number) for number in range(300, KEPT_OFFLINE + 300)
    ]
    assert len(states.messages) == 1


async def test_a_burst_of_events_while_connected_is_published_whole_and_in_order(broker):
    async with listening(broker.port) as heard, MqttClient(broker) as client:
        events = await client.collect("edgevoice/kitchen/event")
        await says(broker, heard, "ready")
        for number in range(2000):
            heard.source.on_event(an_event(str(number)), None)
        await events.wait(lambda message: message.json["id"] == "1999")
    assert [message.json["id"] for message in events.messages] == [str(number) for number in range(2000)]


async def test_events_told_while_the_house_stops_are_still_published(broker):
    async with MqttClient(broker) as client:
        events = await client.collect("edgevoice/kitchen/event")
        async with listening(broker.port) as heard:
            await says(broker, heard, "before")
            for number in range(50):
                heard.source.on_event(an_event(str(number)), None)
        await events.wait_for_count(50)


async def test_what_arrives_while_the_house_stops_is_kept_for_its_return(broker):
    async with MqttClient(broker) as client:
        async with listening(broker.port) as heard:
            await says(broker, heard, "before")
            heard.stop()
            heard.source.on_event(an_event("stopped"), None)
            await client.publish("edgevoice/all/say", "too late")
        async with listening(broker.port) as again:
            await again.wait_for("too late")
    assert [command.payload for command in heard.commands.items] == [b"before"]


async def test_connections_that_are_lost_again_and_again_are_one_fault(monkeypatch):
    monkeypatch.setattr(link, "_SHORTEST", 0.01)
    connections = Arrivals("connections")

    async def broker(reader, writer):
        connections.put(await packet(reader))
        writer.write(b"\x20\x03\x00\x00\x00")
        subscribe = await packet(reader)
        writer.write(b"\x90" + bytes([3 + FILTERS]) + subscribe[:2] + b"\x00" + b"\x01" * FILTERS)
        await writer.drain()
        writer.close()

    async with serving(broker) as port, listening(port, ready=False) as heard:
        fault = await heard.faults.wait(lambda fault: fault is not None and "mqtt.client_id" in fault)
        await connections.wait_for_count(6)
    assert heard.faults.items.index(fault) == len(heard.faults.items) - 1


async def test_a_network_thread_that_dies_is_replaced(broker):
    async with listening(broker.port) as heard:
        await says(broker, heard, "before")
        _kill_network_thread()
        await says(broker, heard, "deadly")
        fault = await heard.faults.wait()
        await says(broker, heard, "after")
        assert heard.source.stall_reason() is None
    assert "network thread has died" in fault


async def test_a_network_thread_that_hangs_is_replaced(broker, monkeypatch):
    monkeypatch.setattr(Connection, "progress_within", 1.0)
    hold = threading.Event()
    connections = []
    monkeypatch.setattr(Connection, "_on_message", _hang_once(Connection._on_message, hold, connections))
    try:
        async with listening(broker.port) as heard:
            async with MqttClient(broker) as client:
                await client.publish_until_heard("edgevoice/all/say", "before")
                fault = await heard.faults.wait(within=30)
                await heard.wait_for("before")
            hold.set()
            await says(broker, heard, "after")
    finally:
        hold.set()
    assert [command.payload for command in heard.commands.items] == [b"before", b"after"]
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
    [thread] = [thread for thread in threading.enumerate() if thread.name == THREAD]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
