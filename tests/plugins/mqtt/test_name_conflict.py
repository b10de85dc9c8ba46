"""Two nodes that claim one speaker: a fault on both, at a bounded cost."""

import json
from types import SimpleNamespace

import pytest

from edgevoice_plugins.mqtt.name_conflict import MAX_INFO_BYTES, MAX_RIVALS, NameConflictDetector
from edgevoice_plugins.mqtt.topics import Message
from tests.support.broker import Broker, MqttClient
from tests.support.mqtt_source import publish_and_wait, running_source


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


def names(*nodes):
    """Return a predicate: the fault names each of these nodes."""
    return lambda fault: fault is not None and all(node in fault for node in ("kitchen", *nodes))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_conflict_is_a_fault_on_both_nodes(broker, version):
    async with running_source(broker.port, node="pi", version=version) as running:
        await publish_and_wait(broker, running, "alone")
        async with running_source(broker.port, node="attic", version=version, client_id="attic") as other:
            for source in (running, other):
                await source.faults.wait(names("pi", "attic"))
        await running.faults.wait(lambda fault: fault is None)
        async with MqttClient(broker) as client:
            # The node that is left holds the retained claim again.
            infos = await client.collect("edgevoice/kitchen/info")
            await infos.wait(lambda info: info.json["node"] == "pi")


async def test_node_is_online_before_it_claims_speakers(broker):
    """A node that reads a claim asks for the other's availability, and must not be told of an earlier time."""
    async with MqttClient(broker) as client:
        seen = await client.collect("edgevoice/+/+")
        async with running_source(broker.port, node="attic"):
            await seen.wait(lambda message: message.topic.endswith("/info"))
        topics = [message.topic for message in seen.items]
    assert topics.index("edgevoice/attic/availability") < topics.index("edgevoice/kitchen/info")


async def test_claim_of_offline_node_is_ignored(broker):
    async with MqttClient(broker) as client:
        await client.publish("edgevoice/attic/availability", "offline", retain=True)
        await client.publish("edgevoice/kitchen/info", json.dumps({"node": "attic"}), retain=True)
        async with running_source(broker.port) as running:
            await publish_and_wait(broker, running, "mine")
            infos = await client.collect("edgevoice/kitchen/info")
            info = await infos.wait(lambda info: info.json["node"] == "pi")
            assert info.json.keys() == {"node", "groups", "version", "clock_ms", "latency_ms"}
            # It returns without the speaker: no conflict. Then it claims it.
            await client.publish("edgevoice/attic/availability", "online", retain=True)
            await client.publish("edgevoice/kitchen/info", b"\xff{", retain=True)
            await publish_and_wait(broker, running, "still mine")
            assert not any(running.faults.items)
            await client.publish("edgevoice/kitchen/info", json.dumps({"node": "attic"}), retain=True)
            await running.faults.wait(names("pi", "attic"))
            await client.publish("edgevoice/attic/availability", "offline", retain=True)
            await running.faults.wait(lambda fault: fault is None)


class Detector(NameConflictDetector):
    """A detector of the node `pi` with the speakers `kitchen` and `hall`, and what it does."""

    def __init__(self):
        self.faults, self.published, self.subscribed = {}, [], []
        context = SimpleNamespace(
            node="pi",
            speakers=("kitchen", "hall"),
            groups={"kitchen": ("downstairs",)},
            fault=self.faults.__setitem__,
        )
        super().__init__(context, "edgevoice", self.published.append)
        self.connected(self.subscribed.append)

    def info(self, node, speaker="kitchen"):
        payload = json.dumps({"node": node}).encode()
        self.receive(Message(topic=f"edgevoice/{speaker}/info", payload=payload))

    def available(self, node, payload=b"online"):
        self.receive(Message(topic=f"edgevoice/{node}/availability", payload=payload))


def test_subscribes_to_own_speakers_only():
    assert [asked.topic for asked in Detector().filters] == [
        "edgevoice/kitchen/info",
        "edgevoice/hall/info",
    ]


def test_info_of_own_speakers():
    detector = Detector()
    detector.announce()
    kitchen, hall = (json.loads(message.payload) for message in detector.published)
    assert (kitchen["node"], kitchen["groups"], hall["groups"]) == ("pi", ["downstairs"], [])
    assert all(message.retain for message in detector.published)


def test_invalid_and_unrelated_claims_are_ignored():
    detector = Detector()
    detector.info("pi")
    detector.info("attic", speaker="garage")
    detector.info("a/+/b")
    detector.info("x" * 65)
    detector.receive(Message(topic="edgevoice/hall/info", payload=b"[" * 9000))
    padded = b'{"node": "attic"}' + b" " * MAX_INFO_BYTES
    detector.receive(Message(topic="edgevoice/hall/info", payload=padded))
    detector.available("attic")
    detector.receive(Message(topic="edgevoice/hall/say", payload=b"hi"))
    assert (detector.subscribed, detector.faults) == ([], {})


def test_rivals_are_bounded():
    detector = Detector()
    for number in range(10 * MAX_RIVALS):
        detector.info(f"node-{number}")
        detector.available(f"node-{number}")
    assert len(detector.subscribed) == MAX_RIVALS
    assert f"node-{MAX_RIVALS}" not in detector.faults["name of kitchen"]
    detector.connected(detector.subscribed.append)
    assert detector.faults == {"name of kitchen": None}


def test_two_rivals_of_one_speaker():
    detector = Detector()
    for node in ("attic", "barn"):
        detector.info(node)
        detector.available(node)
    detector.available("attic", b"offline")
    assert "barn" in detector.faults["name of kitchen"]
    assert "attic" not in detector.faults["name of kitchen"]
    detector.available("barn", b"offline")
    assert detector.faults["name of kitchen"] is None
