"""`edgevoice say` as a process of its own, at a real broker with a node that replies."""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass

import pytest

from edgevoice import EventType, Rejection
from edgevoice_plugins.mqtt.command import format_event
from tests.support.broker import Broker, free_port
from tests.support.mqtt_source import AT, make_event, source_and_client


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


@dataclass
class Completed:
    status: int
    out: str
    err: str

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]


@contextlib.asynccontextmanager
async def say_process(folder, port, *arguments):
    """The command, running; its standard input is a pipe. Without a port there is no broker configured."""
    configuration = folder / "edgevoice.yaml"
    configuration.write_text(f"mqtt: {{host: 127.0.0.1, port: {port}}}\n" if port else "node: pi\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from edgevoice.cli import main; main()", "say", *arguments),
        *("--config", str(configuration)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run_say(folder, port, *arguments):
    async with say_process(folder, port, *arguments) as process:
        out, err = await process.communicate(b"")
        return Completed(process.returncode, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def node(broker, *told):
    """A node that answers each announcement with these (step, speaker), or with what a function of its id gives."""

    async def answer(running):
        command = await running.commands.wait()
        name = json.loads(command.payload)["id"]
        running.source.on_event(make_event("another one", EventType.FINISHED, "garage"), None)
        for entry in told:
            if callable(entry):
                running.source.on_rejected(entry(name), None)
            else:
                running.source.on_event(make_event(name, *entry), None)

    async with source_and_client(broker) as (running, _):
        task = asyncio.create_task(answer(running))
        yield running
        task.cancel()


async def test_say_publishes_with_own_id(tmp_path, broker):
    async with node(broker) as running:
        done = await run_say(tmp_path, broker.port, "hello: {house}", "--to", "kitchen", "--urgency", "high")
        command = await running.commands.wait()
    assert (done.status, done.out, done.err) == (0, "", "")
    assert command.target == "kitchen"
    keys = json.loads(command.payload)
    assert keys == {"text": "hello: {house}", "id": keys["id"], "urgency": "high"}


async def test_wait_shows_steps_of_every_speaker(tmp_path, broker):
    steps = [
        (EventType.QUEUED, "kitchen"),
        (EventType.STARTED, "kitchen"),
        (EventType.HELD, "hall"),
        (EventType.FINISHED, "kitchen"),
    ]
    async with node(broker, *steps):
        done = await run_say(tmp_path, broker.port, "hello", "--wait")
    assert done.status == 0
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        [speaker, str(step)] for step, speaker in steps
    ]


async def test_json_prints_one_event_per_line(tmp_path, broker):
    async with node(broker, (EventType.STARTED, "kitchen"), (EventType.FINISHED, "kitchen")):
        done = await run_say(tmp_path, broker.port, "hello", "--wait", "--json")
    assert done.status == 0
    assert [event["event_type"] for event in done.events] == ["started", "finished"]
    assert {"attempts", "ms", "spoken_s"} <= done.events[0].keys()


@pytest.mark.parametrize(
    "outcome",
    [EventType.EXPIRED, EventType.FAILED, EventType.CANCELLED, EventType.SUPPRESSED, EventType.REPLACED],
)
async def test_wait_fails_if_one_speaker_fails(tmp_path, broker, outcome):
    async with node(broker, (EventType.FINISHED, "kitchen"), (outcome, "hall")):
        done = await run_say(tmp_path, broker.port, "hello", "--wait")
    assert done.status == 1
    assert str(outcome) in done.out


async def test_wait_shows_rejection_and_fails(tmp_path, broker):
    def rejection(name):
        return Rejection(node="pi", at=AT, target="all", reason="too dull", key="text", id=name)

    async with node(broker, rejection):
        done = await run_say(tmp_path, broker.port, "hello", "--wait")
    assert (done.status, done.err) == (1, "")
    assert done.out.split() == ["pi", "rejected", "too", "dull,", "text"]


async def test_timeout_names_pending_speakers(tmp_path, broker):
    async with node(broker, (EventType.FINISHED, "kitchen"), (EventType.QUEUED, "hall")):
        done = await run_say(tmp_path, broker.port, "hello", "--wait", "--timeout", "0.1")
    assert done.status == 1
    assert "hall: queued" in done.err
    assert "kitchen" not in done.err


async def test_wait_fails_without_reply(tmp_path, broker):
    async with node(broker):
        done = await run_say(tmp_path, broker.port, "hello", "--wait", "--to", "kitchen")
    assert done.status == 1
    assert "'kitchen'" in done.err


async def test_say_fails_without_subscriber(tmp_path, broker):
    done = await run_say(tmp_path, broker.port, "hello", "--to", "attic")
    assert done.status == 1
    assert "edgevoice/attic/say" in done.err


async def test_lost_broker_ends_wait(tmp_path, broker):
    async with (
        node(broker, (EventType.QUEUED, "kitchen")),
        say_process(tmp_path, broker.port, "hello", "--wait") as process,
    ):
        await process.stdout.readline()
        broker.stop()
        _, err = await process.communicate(b"")
    assert process.returncode == 1
    assert b"ended" in err


@pytest.mark.parametrize("urgency", [None, "critical"])
async def test_live_text_is_published_as_it_arrives(tmp_path, broker, urgency):
    asked = ["-", "--urgency", urgency] if urgency else ["-"]
    async with node(broker) as running, say_process(tmp_path, broker.port, *asked) as process:
        for text in ("Once upon ", "a time.\n", "ünd"):
            chunks = len(running.commands.items)
            process.stdin.write(text.encode())
            await process.stdin.drain()
            await running.commands.wait_for_count(chunks + 1)
        process.stdin.close()
        await process.wait()
        first, *others, end = await running.commands.wait_for_count(4)
    assert process.returncode == 0
    assert len({chunk.id for chunk in running.commands.items}) == 1
    assert first.is_json
    assert json.loads(first.payload) == {"text": "Once upon "} | ({"urgency": urgency} if urgency else {})
    assert [chunk.payload.decode() for chunk in others] == ["a time.\n", "ünd"]
    assert end.payload == b""


def test_format_event_shows_spoken_seconds():
    told = {"event_type": "started", "speaker": "kitchen", "transport": "http"}
    assert format_event({**told, "spoken_s": 0.0}) == "kitchen          started      http"
    assert format_event({**told, "spoken_s": 1.25}) == "kitchen          started      http, 1.25 s spoken"


async def test_empty_live_text_fails(tmp_path, broker):
    done = await run_say(tmp_path, broker.port, "-")
    assert done.status == 1
    assert "standard input" in done.err


async def test_unreachable_broker_is_named(tmp_path):
    port = free_port()
    done = await run_say(tmp_path, port, "hello")
    assert done.status == 1
    assert f"127.0.0.1:{port}" in done.err
    assert "mqtt.port" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("text", ["  ", "a\x07", "x" * 8001, os.fsdecode(b"\xff")])
async def test_invalid_text_is_not_published(tmp_path, text):
    done = await run_say(tmp_path, 1, text)
    assert done.status == 2
    assert "TEXT" in done.err


@pytest.mark.parametrize(
    "arguments", [["hi", "--urgency", "shrill"], ["hi", "--to", "a/b"], ["hi", "--timeout", "0"], []]
)
async def test_usage_error_is_status_2(tmp_path, arguments):
    done = await run_say(tmp_path, 1, *arguments)
    assert done.status == 2


async def test_missing_broker_is_status_2(tmp_path):
    done = await run_say(tmp_path, None, "hi")
    assert done.status == 2
    assert "mqtt.host" in done.err
