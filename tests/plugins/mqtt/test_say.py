"""`edgevoice say`, as its own process, at a real broker with a node that answers."""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass

import pytest

from edgevoice.outcome import EventType, Rejection
from edgevoice_plugins.mqtt.answers import line
from tests.support.broker import Broker, free_port
from tests.support.mqtt_source import AT, an_event, house


@pytest.fixture
def broker():
    with Broker() as running:
        yield running


@dataclass
class Ended:
    status: int
    out: str
    err: str

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]


@contextlib.asynccontextmanager
async def saying(folder, port, *arguments):
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


async def said(folder, port, *arguments):
    async with saying(folder, port, *arguments) as process:
        out, err = await process.communicate(b"")
        return Ended(process.returncode, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def node(broker, *told):
    """A node that answers each announcement with these (step, speaker), or with what a function of its id gives."""

    async def answer(heard):
        command = await heard.commands.wait()
        name = json.loads(command.payload)["id"]
        heard.source.on_event(an_event("another one", EventType.FINISHED, "garage"), None)
        for entry in told:
            if callable(entry):
                heard.source.on_rejected(entry(name), None)
            else:
                heard.source.on_event(an_event(name, *entry), None)

    async with house(broker) as (heard, _):
        task = asyncio.create_task(answer(heard))
        yield heard
        task.cancel()


async def test_an_announcement_is_published_with_an_id_of_its_own(tmp_path, broker):
    async with node(broker) as heard:
        ended = await said(tmp_path, broker.port, "hello: {house}", "--to", "kitchen", "--urgency", "high")
        command = await heard.commands.wait()
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    assert command.target == "kitchen"
    keys = json.loads(command.payload)
    assert keys == {"text": "hello: {house}", "id": keys["id"], "urgency": "high"}


async def test_waiting_shows_the_steps_of_every_speaker_that_answers(tmp_path, broker):
    steps = [
        (EventType.QUEUED, "kitchen"),
        (EventType.STARTED, "kitchen"),
        (EventType.HELD, "hall"),
        (EventType.FINISHED, "kitchen"),
    ]
    async with node(broker, *steps):
        ended = await said(tmp_path, broker.port, "hello", "--wait")
    assert ended.status == 0
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        [speaker, str(step)] for step, speaker in steps
    ]


async def test_events_can_be_had_as_json_lines(tmp_path, broker):
    async with node(broker, (EventType.STARTED, "kitchen"), (EventType.FINISHED, "kitchen")):
        ended = await said(tmp_path, broker.port, "hello", "--wait", "--json")
    assert ended.status == 0
    assert [event["event_type"] for event in ended.events] == ["started", "finished"]
    assert {"attempts", "ms", "spoken_s"} <= ended.events[0].keys()


@pytest.mark.parametrize(
    "outcome",
    [EventType.EXPIRED, EventType.FAILED, EventType.CANCELLED, EventType.SUPPRESSED, EventType.REPLACED],
)
async def test_one_speaker_that_did_not_say_it_fails_the_whole(tmp_path, broker, outcome):
    async with node(broker, (EventType.FINISHED, "kitchen"), (outcome, "hall")):
        ended = await said(tmp_path, broker.port, "hello", "--wait")
    assert ended.status == 1
    assert str(outcome) in ended.out


async def test_a_rejection_is_shown_and_fails(tmp_path, broker):
    def rejection(name):
        return Rejection(node="pi", at=AT, target="all", reason="too dull", key="text", id=name)

    async with node(broker, rejection):
        ended = await said(tmp_path, broker.port, "hello", "--wait")
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.split() == ["pi", "rejected", "too", "dull,", "text"]


async def test_a_speaker_that_is_not_done_in_time_fails(tmp_path, broker):
    async with node(broker, (EventType.FINISHED, "kitchen"), (EventType.QUEUED, "hall")):
        ended = await said(tmp_path, broker.port, "hello", "--wait", "--timeout", "0.1")
    assert ended.status == 1
    assert "hall: queued" in ended.err
    assert "kitchen" not in ended.err


async def test_nobody_who_answers_is_told(tmp_path, broker):
    async with node(broker):
        ended = await said(tmp_path, broker.port, "hello", "--wait", "--to", "kitchen")
    assert ended.status == 1
    assert "no speaker answered to 'kitchen'" in ended.err


async def test_nobody_who_listens_is_told(tmp_path, broker):
    ended = await said(tmp_path, broker.port, "hello", "--to", "attic")
    assert ended.status == 1
    assert "nobody listens to edgevoice/attic/say" in ended.err


async def test_a_broker_that_goes_while_it_waits_ends_it(tmp_path, broker):
    async with (
        node(broker, (EventType.QUEUED, "kitchen")),
        saying(tmp_path, broker.port, "hello", "--wait") as process,
    ):
        await process.stdout.readline()
        broker.stop()
        _, err = await process.communicate(b"")
    assert process.returncode == 1
    assert b"ended" in err


@pytest.mark.parametrize("urgency", [None, "critical"])
async def test_live_text_is_published_as_it_is_typed_and_ended_with_the_input(tmp_path, broker, urgency):
    asked = ["-", "--urgency", urgency] if urgency else ["-"]
    async with node(broker) as heard, saying(tmp_path, broker.port, *asked) as process:
        for text in ("Once upon ", "a time.\n", "ünd"):
            pieces = len(heard.commands.items)
            process.stdin.write(text.encode())
            await process.stdin.drain()
            await heard.commands.wait_for_count(pieces + 1)
        process.stdin.close()
        await process.wait()
        first, *others, end = await heard.commands.wait_for_count(4)
    assert process.returncode == 0
    assert len({piece.id for piece in heard.commands.items}) == 1
    assert first.is_json
    assert json.loads(first.payload) == {"text": "Once upon "} | ({"urgency": urgency} if urgency else {})
    assert [piece.payload.decode() for piece in others] == ["a time.\n", "ünd"]
    assert end.payload == b""


def test_a_step_tells_what_was_spoken_once_something_was():
    told = {"event_type": "started", "speaker": "kitchen", "transport": "http"}
    assert line({**told, "spoken_s": 0.0}) == "kitchen          started      http"
    assert line({**told, "spoken_s": 1.25}) == "kitchen          started      http, 1.25 s spoken"


async def test_no_live_text_at_all_fails(tmp_path, broker):
    ended = await said(tmp_path, broker.port, "-")
    assert ended.status == 1
    assert "nothing to say" in ended.err


async def test_a_broker_that_cannot_be_reached_is_said_in_a_sentence(tmp_path):
    port = free_port()
    ended = await said(tmp_path, port, "hello")
    assert ended.status == 1
    assert ended.err.strip() == f"no broker listens at 127.0.0.1:{port}; is it running, is mqtt.port right?"


@pytest.mark.parametrize("text", ["  ", "a\x07", "x" * 8001, os.fsdecode(b"\xff")])
async def test_what_a_daemon_would_refuse_is_not_published(tmp_path, text):
    ended = await said(tmp_path, 1, text)
    assert ended.status == 2
    assert "TEXT cannot be said: text: " in ended.err


@pytest.mark.parametrize(
    "arguments", [["hi", "--urgency", "shrill"], ["hi", "--to", "a/b"], ["hi", "--timeout", "0"], []]
)
async def test_a_wrong_call_is_status_2(tmp_path, arguments):
    ended = await said(tmp_path, 1, *arguments)
    assert ended.status == 2


async def test_no_broker_in_the_configuration_is_status_2(tmp_path):
    ended = await said(tmp_path, None, "hi")
    assert ended.status == 2
    assert "mqtt.host" in ended.err
