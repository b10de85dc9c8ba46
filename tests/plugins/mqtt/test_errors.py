"""What the source `mqtt` says of brokers that refuse it, and how it gets in."""

import asyncio
import contextlib

import pytest

from edgevoice_plugins.mqtt.options import CREDENTIAL
from tests.support.arrivals import Arrivals
from tests.support.broker import Broker, free_port, make_ca
from tests.support.fake_broker import packet, serving
from tests.support.mqtt_source import FILTERS, an_event, listening, says

PASSWORD = "correct-horse-battery"


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


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
    (tmp_path / CREDENTIAL).write_text(PASSWORD)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    acl = ["user ev", "topic read edgevoice/#", "topic write edgevoice/pi/availability"]
    with Broker(users={"ev": PASSWORD}, acl=acl) as broker:
        async with listening(broker.port, username="ev") as heard:
            heard.source.on_event(an_event("a1"), None)
            fault = await heard.faults.wait()
    assert "user 'ev'" in fault
    assert "publish to edgevoice/kitchen/event" in fault


async def test_another_client_with_the_same_id_is_a_fault_that_says_so():
    async def broker(reader, writer):
        await packet(reader)
        writer.write(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")
        await reader.read()
        writer.close()

    async with serving(broker) as port, listening(port) as heard:
        # A line that breaks while it is being written to is told as lost; the next one is read.
        await heard.faults.wait(lambda fault: "mqtt.client_id" in (fault or ""), within=60)


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b""])
async def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1(answer):
    protocols = []

    async def old_broker(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            connect = await packet(reader)
            protocols.append(connect[6])
            if connect[6] == 5:
                writer.write(answer)
            else:
                writer.write(b"\x20\x02\x00\x00")
                subscribe = await packet(reader)
                writer.write(b"\x90" + bytes([2 + FILTERS]) + subscribe[:2] + b"\x01" * FILTERS)
                writer.write(b"\x30\x19\x00\x11edgevoice/all/say" + b"hello!")
                await packet(reader)
        writer.close()

    async with serving(old_broker) as port, listening(port) as heard:
        await heard.wait_for("hello!")
    assert protocols[:2] == [5, 4]


async def test_a_refused_subscription_is_a_fault_that_names_user_and_topic():
    async def strict_broker(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await packet(reader)
            writer.write(b"\x20\x02\x00\x00")
            subscribe = await packet(reader)
            writer.write(b"\x90" + bytes([2 + FILTERS]) + subscribe[:2] + b"\x80" + b"\x01" * (FILTERS - 1))
            await packet(reader)
        writer.close()

    async with serving(strict_broker) as port, listening(port, version="3.1.1", username="ev") as heard:
        fault = await heard.faults.wait()
    assert "does not let user 'ev' subscribe to edgevoice/all/say;" in fault


async def test_a_broker_that_shows_nobody_other_nodes_is_no_fault():
    async def shy_broker(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await packet(reader)
            writer.write(b"\x20\x02\x00\x00")
            subscribe = await packet(reader)
            granted = b"\x01" * (FILTERS - 2) + b"\x80\x80"
            writer.write(b"\x90" + bytes([2 + FILTERS]) + subscribe[:2] + granted)
            published.put(await packet(reader))
        writer.close()

    published = Arrivals("published")
    async with serving(shy_broker) as port, listening(port, version="3.1.1"):
        assert b"edgevoice/pi/" in await published.wait()


async def test_a_host_that_is_not_known_is_a_fault_and_not_fatal():
    async with listening(free_port(), host="nowhere.invalid") as heard:
        fault = await heard.faults.wait(within=30)
    assert "'nowhere.invalid'" in fault
