"""Brokers that refuse the connection, a topic or a version: the fault names the option to change."""

import asyncio
import contextlib

import pytest

from edgevoice_plugins.mqtt.options import CREDENTIAL
from tests.support.arrivals import Arrivals
from tests.support.broker import Broker, free_port, make_ca
from tests.support.fake_broker import packet, serving
from tests.support.mqtt_source import FILTERS, make_event, publish_and_wait, running_source

PASSWORD = "correct-horse-battery"


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


async def test_tls_with_ca_and_password_connects(tmp_path):
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    with Broker(users={"ev": PASSWORD}, tls=True) as broker:
        options = {
            "tls": {"ca_file": str(broker.ca_file)},
            "username": "ev",
            "password_file": str(tmp_path / "password"),
        }
        async with running_source(broker.port, **options) as running:
            await publish_and_wait(broker, running, "in secret", username="ev", password=PASSWORD)
    assert running.faults.items == []


async def test_untrusted_certificate_is_refused(tmp_path):
    other_ca = make_ca(tmp_path)
    with Broker(tls=True) as broker:
        async with running_source(broker.port, tls={"ca_file": str(other_ca)}) as running:
            fault = await running.faults.wait()
    assert "mqtt.tls.ca_file" in fault


async def test_tls_to_plain_port_names_option(broker):
    async with running_source(broker.port, tls=True) as running:
        fault = await running.faults.wait()
    assert "mqtt.tls" in fault


async def test_plain_to_tls_port_names_option():
    with Broker(tls=True) as broker:
        async with running_source(broker.port) as running:
            fault = await running.faults.wait()
    assert "mqtt.tls" in fault


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_wrong_password_fault_names_user_only(tmp_path, caplog, version):
    (tmp_path / "password").write_text("wrong-horse-battery")
    with Broker(users={"ev": PASSWORD}) as broker:
        options = {"username": "ev", "password_file": str(tmp_path / "password"), "version": version}
        async with running_source(broker.port, **options) as running:
            fault = await running.faults.wait()
    assert "user 'ev'" in fault
    assert "mqtt.password_file" in fault
    assert "wrong-horse" not in fault + caplog.text


async def test_denied_publish_fault_names_topic(tmp_path, monkeypatch):
    (tmp_path / CREDENTIAL).write_text(PASSWORD)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    acl = ["user ev", "topic read edgevoice/#", "topic write edgevoice/pi/availability"]
    with Broker(users={"ev": PASSWORD}, acl=acl) as broker:
        async with running_source(broker.port, username="ev") as running:
            running.source.on_event(make_event("a1"), None)
            fault = await running.faults.wait()
    assert "user 'ev'" in fault
    assert "edgevoice/kitchen/event" in fault


async def test_taken_over_session_names_client_id():
    async def broker(reader, writer):
        await packet(reader)
        writer.write(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")
        await reader.read()
        writer.close()

    async with serving(broker) as port, running_source(port) as running:
        # A line that breaks while it is being written to is told as lost; the next one is read.
        await running.faults.wait(lambda fault: "mqtt.client_id" in (fault or ""), within=60)


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b""])
async def test_falls_back_to_mqtt3(answer):
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

    async with serving(old_broker) as port, running_source(port) as running:
        await running.wait_for("hello!")
    assert protocols[:2] == [5, 4]


async def test_denied_subscription_fault_names_user_and_topic():
    async def strict_broker(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await packet(reader)
            writer.write(b"\x20\x02\x00\x00")
            subscribe = await packet(reader)
            writer.write(b"\x90" + bytes([2 + FILTERS]) + subscribe[:2] + b"\x80" + b"\x01" * (FILTERS - 1))
            await packet(reader)
        writer.close()

    async with (
        serving(strict_broker) as port,
        running_source(port, version="3.1.1", username="ev") as running,
    ):
        fault = await running.faults.wait()
    assert "user 'ev'" in fault
    assert "edgevoice/all/say;" in fault


async def test_denied_info_subscription_is_not_a_fault():
    async def shy_broker(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await packet(reader)
            writer.write(b"\x20\x02\x00\x00")
            subscribe = await packet(reader)
            granted = b"\x01" * (FILTERS - 1) + b"\x80"
            writer.write(b"\x90" + bytes([2 + FILTERS]) + subscribe[:2] + granted)
            published.put(await packet(reader))
        writer.close()

    published = Arrivals("published")
    async with serving(shy_broker) as port, running_source(port, version="3.1.1"):
        assert b"edgevoice/pi/availability\x00\x02online" in await published.wait()


async def test_unknown_host_is_a_fault():
    async with running_source(free_port(), host="nowhere.invalid") as running:
        fault = await running.faults.wait(within=30)
    assert "'nowhere.invalid'" in fault
