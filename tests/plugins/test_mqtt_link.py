"""The link of the source `mqtt` to its broker: lost and found again, refused, encrypted, old, hung."""

import asyncio
import contextlib
import ctypes
import signal
import threading
from datetime import UTC, datetime

import pytest

from edgevoice.announcement import Urgency
from edgevoice.errors import ConfigError
from edgevoice.outcome import Event, SpeakerState, Step
from edgevoice_plugins.mqtt import link
from edgevoice_plugins.mqtt.connection import Connection
from edgevoice_plugins.mqtt.options import THREAD, Mqtt, Tls, broker_of, client_id_of
from edgevoice_plugins.mqtt.outbox import KEPT_OFFLINE
from tests.support.arrivals import Arrivals
from tests.support.broker import Broker, MqttClient, free_port, make_ca
from tests.support.mqtt_source import listening

PASSWORD = "correct-horse-battery"


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


def event(name):
    return Event(
        event_type=Step.FINISHED,
        id=name,
        speaker="kitchen",
        target="all",
        at=datetime.now(UTC),
        urgency=Urgency.NORMAL,
    )


@contextlib.asynccontextmanager
async def serving(answer):
    """A server that answers each connection as this broker of ours would; its port."""
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def says(broker, heard, text, **login):
    """Somebody publishes, and the source hears it."""
    async with MqttClient(broker, **login) as client:
        await client.publish_until_heard("edgevoice/all/say", text)
        return await heard.wait_for(text)


async def test_a_broker_that_comes_later_is_found():
    with Broker(started=False) as broker:
        async with listening(broker.port) as heard:
            fault = await heard.faults.wait()
            broker.start()
            await says(broker, heard, "here at last")
            assert await heard.faults.wait(lambda fault: fault is None) is None
    assert f"no broker listens at 127.0.0.1:{broker.port}" in fault
    assert heard.faults.items == [fault, None]


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
            heard.source.on_event(event(str(number)), None)
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
            heard.source.on_event(event(str(number)), None)
        await events.wait(lambda message: message.json["id"] == "1999")
    assert [message.json["id"] for message in events.messages] == [str(number) for number in range(2000)]


async def test_events_told_while_the_house_stops_are_still_published(broker):
    async with MqttClient(broker) as client:
        events = await client.collect("edgevoice/kitchen/event")
        async with listening(broker.port) as heard:
            await says(broker, heard, "before")
            for number in range(50):
                heard.source.on_event(event(str(number)), None)
        await events.wait_for_count(50)


async def test_tls_with_a_certificate_authority_and_a_password(tmp_path):
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    with Broker(users={"ev": PASSWORD}, tls=True) as broker:
        options = {
            "tls": {"ca_file": str(broker.ca_file)},
            "username": "ev",
            "password_file": str(tmp_path / "password"),
        }
        async with listening(broker.port, **options) as heard:
            await says(broker, heard, "in secret", username="ev", password=PASSWORD)
    assert heard.faults.items == []


async def test_a_certificate_that_nobody_vouches_for_is_a_fault_and_never_accepted(tmp_path):
    stranger = make_ca(tmp_path)
    with Broker(tls=True) as broker:
        async with listening(broker.port, tls={"ca_file": str(stranger)}) as heard:
            fault = await heard.faults.wait()
    assert "is not trusted" in fault
    assert "mqtt.tls.ca_file" in fault


async def test_a_broker_without_tls_is_told_from_one_with_it(broker):
    async with listening(broker.port, tls=True) as heard:
        fault = await heard.faults.wait()
    assert "mqtt.tls" in fault


async def test_plain_talk_to_a_tls_port_says_that_tls_may_be_wanted():
    with Broker(tls=True) as broker:
        async with listening(broker.port) as heard:
            fault = await heard.faults.wait()
    assert "mqtt.tls" in fault


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_wrong_password_is_a_fault_that_names_the_user_and_never_the_password(
    tmp_path, caplog, version
):
    (tmp_path / "password").write_text("wrong-horse-battery")
    with Broker(users={"ev": PASSWORD}) as broker:
        options = {"username": "ev", "password_file": str(tmp_path / "password"), "version": version}
        async with listening(broker.port, **options) as heard:
            fault = await heard.faults.wait()
    assert "user 'ev'" in fault
    assert "mqtt.password_file" in fault
    assert "wrong-horse" not in fault + caplog.text


async def test_a_topic_that_may_not_be_published_to_is_a_fault_that_names_it(tmp_path, monkeypatch):
    _hand_over_credential(tmp_path, monkeypatch, PASSWORD)
    acl = ["user ev", "topic read edgevoice/#", "topic write edgevoice/pi/availability"]
    with Broker(users={"ev": PASSWORD}, acl=acl) as broker:
        async with listening(broker.port, username="ev") as heard:
            heard.source.on_event(event("a1"), None)
            fault = await heard.faults.wait()
    assert "user 'ev'" in fault
    assert "publish to edgevoice/kitchen/event" in fault


async def test_another_client_with_the_same_id_is_a_fault_that_says_so():
    async def broker(reader, writer):
        await _packet(reader)
        writer.write(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")
        await reader.read()
        writer.close()

    async with serving(broker) as port, listening(port) as heard:
        fault = await heard.faults.wait()
    assert "mqtt.client_id" in fault


async def test_connections_that_are_lost_again_and_again_are_one_fault(monkeypatch):
    monkeypatch.setattr(link, "_SHORTEST", 0.01)
    connections = Arrivals("connections")

    async def broker(reader, writer):
        connections.put(await _packet(reader))
        writer.write(b"\x20\x03\x00\x00\x00")
        subscribe = await _packet(reader)
        writer.write(b"\x90" + bytes([3 + 12]) + subscribe[:2] + b"\x00" + b"\x01" * 12)
        await writer.drain()
        writer.close()

    async with serving(broker) as port, listening(port, ready=False) as heard:
        fault = await heard.faults.wait(lambda fault: fault is not None and "mqtt.client_id" in fault)
        await connections.wait_for_count(6)
    assert heard.faults.items[-1] == fault


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b""])
async def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1(answer):
    protocols = []

    async def old_broker(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            connect = await _packet(reader)
            protocols.append(connect[6])
            if connect[6] == 5:
                writer.write(answer)
            else:
                writer.write(b"\x20\x02\x00\x00")
                subscribe = await _packet(reader)
                writer.write(b"\x90" + bytes([2 + 12]) + subscribe[:2] + b"\x01" * 12)
                writer.write(b"\x30\x19\x00\x11edgevoice/all/say" + b"hello!")
                await _packet(reader)
        writer.close()

    async with serving(old_broker) as port, listening(port) as heard:
        await heard.wait_for("hello!")
    assert protocols[:2] == [5, 4]


async def test_a_refused_subscription_is_a_fault_that_names_user_and_topic():
    async def strict_broker(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await _packet(reader)
            writer.write(b"\x20\x02\x00\x00")
            subscribe = await _packet(reader)
            writer.write(b"\x90" + bytes([2 + 12]) + subscribe[:2] + b"\x80" + b"\x01" * 11)
            await _packet(reader)
        writer.close()

    async with serving(strict_broker) as port, listening(port, version="3.1.1", username="ev") as heard:
        fault = await heard.faults.wait()
    assert "does not let user 'ev' subscribe to edgevoice/all/say;" in fault


async def test_a_host_that_is_not_known_is_a_fault_and_not_fatal():
    async with listening(free_port(), host="nowhere.invalid") as heard:
        fault = await heard.faults.wait(within=30)
    assert "'nowhere.invalid'" in fault


async def test_a_network_thread_that_dies_is_replaced(broker):
    async with listening(broker.port) as heard:
        await says(broker, heard, "before")
        _kill_network_thread()
        await says(broker, heard, "deadly")
        fault = await heard.faults.wait()
        await says(broker, heard, "after")
        assert heard.source.stuck() is None
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
            await says(broker, heard, "after")
    finally:
        hold.set()
    assert "network thread has stopped" in fault


def _hang_once(deliver, hold, hung):
    def hanging(self, *values):
        if not hung:
            hung.append(self)
            hold.wait()
        deliver(self, *values)

    return hanging


def test_a_password_comes_from_its_file_or_from_a_credential(tmp_path, monkeypatch):
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    named = Mqtt(host="broker", username="ev", password_file=str(file))
    assert broker_of(named).password == PASSWORD
    assert PASSWORD not in repr(broker_of(named))
    _hand_over_credential(tmp_path, monkeypatch, "from systemd")
    assert broker_of(Mqtt(host="broker", username="ev")).password == "from systemd"
    assert broker_of(named).password == PASSWORD


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_password_file_that_is_missing_or_empty_is_a_mistake(tmp_path, content):
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"mqtt\.password_file: .*password is (missing|empty)"):
        broker_of(Mqtt(host="broker", username="ev", password_file=str(file)))


def test_all_mistakes_are_told_at_once(tmp_path):
    garbage = tmp_path / "ca.crt"
    garbage.write_text("no certificate")
    options = Mqtt(password_file=str(tmp_path / "none"), tls=Tls(ca_file=str(garbage)))
    with pytest.raises(ConfigError) as caught:
        broker_of(options)
    assert [mistake.path for mistake in caught.value.mistakes] == [
        "mqtt.password_file",
        "mqtt.username",
        "mqtt.tls.ca_file",
    ]


def test_the_port_follows_tls_and_the_client_id_stays_the_same():
    assert broker_of(Mqtt(host="b")).port == 1883
    assert broker_of(Mqtt(host="b", tls=True)).port == 8883
    assert broker_of(Mqtt(host="b", tls=True, port=1)).port == 1
    assert client_id_of(Mqtt(), "pi") == client_id_of(Mqtt(), "pi")
    assert client_id_of(Mqtt(), "pi").startswith("edgevoice-pi-")
    assert client_id_of(Mqtt(), "pi") != client_id_of(Mqtt(), "attic")
    assert client_id_of(Mqtt(client_id="mine"), "pi") == "mine"


async def _packet(reader):
    """The body of the next MQTT packet."""
    await reader.readexactly(1)
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return await reader.readexactly(length)


def _kill_network_thread():
    """Have the interpreter raise SystemExit in the network thread as soon as it leaves its wait."""
    [thread] = [thread for thread in threading.enumerate() if thread.name == THREAD]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


def _hand_over_credential(folder, monkeypatch, password):
    """What systemd does for LoadCredential=mqtt_password:..."""
    (folder / "mqtt_password").write_text(password)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
