"""Runs the source `mqtt` as the daemon does, and records its commands and faults."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice import Context, Event, EventType, Say, Urgency
from edgevoice_plugins.mqtt import MqttSource
from edgevoice_plugins.mqtt.options import Mqtt, Timeouts
from edgevoice_plugins.mqtt.topics import filters
from tests.support.arrivals import Arrivals
from tests.support.mqtt_client import MqttClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice import Command
    from tests.support.broker import Broker

AT = datetime(2026, 11, 22, 19, 4, 5, 123456, tzinfo=timezone(timedelta(hours=1)))
NOWHERE = Path("/nonexistent")
TARGETS = frozenset({"kitchen", "downstairs", "all"})
SPEAKERS = ("kitchen",)
#: Topic filters of the first SUBSCRIBE: the commands of its targets, then the `info` of its speakers.
FILTERS = len(filters("edgevoice", TARGETS)) + len(SPEAKERS)


@dataclass(frozen=True, slots=True)
class RunningSource:
    """A running source, and what it submitted and reported."""

    source: MqttSource
    commands: Arrivals[Command]
    #: Messages of faults; None is a fault that was cleared.
    faults: Arrivals[str | None]
    ready: asyncio.Event
    #: The outcomes that the broker has, with the name under which the source told it.
    delivered: list[tuple[str, Event]]
    #: Ends `listen`. The source itself is exited later, as in the daemon.
    stop: Callable[[], object]

    async def wait_for(self, payload: str, *, within: float = 30.0) -> Any:
        """Return the command with this payload."""
        return await self.commands.wait(
            lambda command: getattr(command, "payload", None) == payload.encode(), within=within
        )


def make_context(
    faults: Arrivals[str | None],
    ready: asyncio.Event,
    node: str = "pi",
    delivered: Callable[[str, Event], None] = lambda _name, _event: None,
) -> Context:
    def fault(part: str, message: str | None) -> None:
        assert part == "mqtt" or part.startswith("name of ")
        faults.put(message)

    return Context(
        node=node,
        state_dir=NOWHERE,
        speakers=SPEAKERS,
        targets=TARGETS,
        fault=fault,
        ready=ready,
        delivered=delivered,
    )


@contextlib.asynccontextmanager
async def running_source(
    port: int | None,
    *,
    ready: bool = True,
    node: str = "pi",
    acknowledges: bool = True,
    timeouts: Timeouts | None = None,
    **options: Any,
) -> AsyncIterator[RunningSource]:
    """Run the source against the broker at 127.0.0.1:`port`, or with None without a broker.

    Announcements are acknowledged at once, or with `acknowledges=False` only by the test.
    """
    commands: Arrivals[Command] = Arrivals("commands")
    faults: Arrivals[str | None] = Arrivals("faults")
    is_ready = asyncio.Event()
    if ready:
        is_ready.set()
    address = {} if port is None else {"host": "127.0.0.1", "port": port}

    def submit(command: Command) -> None:
        commands.put(command)
        if acknowledges and isinstance(command, Say) and command.acknowledge is not None:
            command.acknowledge()

    delivered: list[tuple[str, Event]] = []

    def note(name: str, event: Event) -> None:
        delivered.append((name, event))

    source = MqttSource(
        make_context(faults, is_ready, node, note),
        msgspec.convert({**address, **options}, Mqtt),
        timeouts,
    )
    async with source:
        task = asyncio.create_task(source.listen(submit))
        try:
            yield RunningSource(source, commands, faults, is_ready, delivered, task.cancel)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.asynccontextmanager
async def source_and_client(
    broker: Broker, **options: Any
) -> AsyncIterator[tuple[RunningSource, MqttClient]]:
    """Run the source until it is available, and a client at the same broker."""
    async with running_source(broker.port, **options) as running, MqttClient(broker) as client:
        availability = await client.collect("edgevoice/pi/availability")
        await availability.wait_for_payload("online")
        yield running, client


async def publish_and_wait(broker: Broker, running: RunningSource, text: str, **login: str) -> None:
    """Publish an announcement, and wait until the source has submitted it."""
    async with MqttClient(broker, **login) as client:
        await client.publish_until_heard("edgevoice/all/say", text)
        await running.wait_for(text)


async def flush_events(running: RunningSource, client: MqttClient) -> None:
    """Wait until everything that the source has to publish so far is published."""
    events = await client.collect("edgevoice/kitchen/event")
    running.source.on_event(make_event("mark"), None)
    await events.wait(lambda message: message.json["id"] == "mark")


def is_say(command: Command, **keys: Any) -> bool:
    """Whether the command is a `Say` with these values, on its plain topic unless `topic` is given."""
    assert isinstance(command, Say)
    assert command.acknowledge is not None
    urgency = f"/{keys['urgency']}" if "urgency" in keys else ""
    expected = {"topic": f"edgevoice/{command.target}/say{urgency}", **keys}
    return replace(command, acknowledge=None) == Say(**expected)


def make_event(
    name: str = "a1", step: EventType = EventType.FINISHED, speaker: str = "kitchen", **more: Any
) -> Event:
    urgency = more.pop("urgency", Urgency.NORMAL)
    return Event(event_type=step, id=name, speaker=speaker, target="all", at=AT, urgency=urgency, **more)
