"""When the source `mqtt` acknowledges: once a message is safe, in order, and only on the connection it came on."""

import asyncio
import json
import os
import signal
import sys

import pytest

from edgevoice.announcement import Urgency
from edgevoice.outcome import EventType
from edgevoice_plugins.mqtt import acknowledgements
from edgevoice_plugins.mqtt.acknowledgements import Acknowledgements
from edgevoice_plugins.mqtt.deliveries import Deliveries
from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.topics import Message
from edgevoice_plugins.mqtt.unsent import MOST, Unsent
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


def outcome(name, repeated=False):
    payload = json.dumps({"id": name, "repeated": repeated}).encode()
    return Outgoing(topic="edgevoice/kitchen/event", payload=payload, lasting=True)


def unsent(path, *put, sent=()):
    """Open, and leave without a farewell."""
    kept = Unsent(path)
    left = kept.open()
    for message in put:
        kept.put(message)
    for message in sent:
        kept.sent(message)
    kept.close()
    return left


def test_what_was_not_sent_is_left_for_the_next_process_marked_as_repeated(tmp_path):
    path = tmp_path / "unsent"
    assert unsent(path, outcome("a"), outcome("b"), sent=[outcome("a")]) == []
    assert unsent(path) == [outcome("a", repeated=True), outcome("b", repeated=True)]
    both = [outcome("a", repeated=True), outcome("b", repeated=True)]
    assert unsent(path, sent=both) == both
    assert unsent(path) == []
    assert path.stat().st_size == 0


def test_a_file_that_was_cut_off_anywhere_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "unsent"
    unsent(path, outcome("a"), outcome("b"))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert len(unsent(path)) <= 2
    path.write_bytes(whole[:-5])
    assert unsent(path, outcome("c")) == [outcome("a", repeated=True)]
    assert unsent(path) == [outcome("a", repeated=True), outcome("c", repeated=True)]


def test_no_more_is_kept_than_an_outage_may_bring(tmp_path):
    path = tmp_path / "unsent"
    unsent(path, *(outcome(str(number)) for number in range(MOST + 50)))
    assert len(unsent(path)) == MOST


def test_without_a_folder_nothing_is_kept(tmp_path):
    assert unsent(tmp_path / "missing" / "unsent", outcome("a"), sent=[outcome("a")]) == []


async def test_outcomes_of_an_outage_outlive_the_process(broker, tmp_path):
    killed = (
        "import asyncio, os, signal\n"
        "from pathlib import Path\n"
        "from edgevoice.announcement import Urgency\n"
        "from tests.support.mqtt_source import an_event, listening\n"
        "async def run():\n"
        f"    async with listening({broker.port}, state_dir=Path({str(tmp_path)!r})) as heard:\n"
        "        heard.source.on_event(an_event('urgent', urgency=Urgency.HIGH), None)\n"
        "        heard.source.on_event(an_event('normal'), None)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(run())\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", killed, env=env)
    assert await child.wait() == -signal.SIGKILL
    async with MqttClient(broker) as client:
        events = await client.collect("edgevoice/kitchen/event")
        async with listening(broker.port, state_dir=tmp_path) as heard:
            await says(broker, heard, "ready")
            heard.source.on_event(an_event("next", step=EventType.STARTED, urgency=Urgency.HIGH), None)
            await events.wait_for_count(2)
        assert [(told.json["id"], told.json["repeated"]) for told in events.messages] == [
            ("urgent", True),
            ("next", False),
        ]
        async with listening(broker.port, state_dir=tmp_path) as heard:
            await says(broker, heard, "again")
    assert len(events.messages) == 2
