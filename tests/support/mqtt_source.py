"""The source `mqtt`, run as the daemon runs it, with everything it hands over and reports kept."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.commands import Say
from edgevoice.outcome import Event, EventType
from edgevoice.plugin import Context
from edgevoice_plugins.mqtt import MqttSource
from edgevoice_plugins.mqtt.options import Mqtt
from edgevoice_plugins.mqtt.topics import filters
from tests.support.arrivals import Arrivals
from tests.support.mqtt_client import MqttClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.commands import Command
    from tests.support.broker import Broker

AT = datetime(2026, 11, 22, 19, 4, 5, 123456, tzinfo=timezone(timedelta(hours=1)))
NOWHERE = Path("/nonexistent")
TARGETS = frozenset({"kitchen", "downstairs", "all"})

FILTERS = len(filters("edgevoice", TARGETS)) + 2
"""Topics it subscribes to: those of its targets, then two of other nodes."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A running source: its commands, its faults (None is a fault that went), and what it waits for."""

    source: MqttSource
    commands: Arrivals[Command]
    faults: Arrivals[str | None]
    ready: asyncio.Event
    delivered: list[tuple[str, Event]]
    """The outcomes that the broker has, with the name under which the source told it."""
    stop: Callable[[], object]
    """Ends `listen`; the source itself is left later, as in the daemon."""

    async def wait_for(self, payload: str, *, within: float = 30.0) -> Any:
        """The command with this payload."""
        return await self.commands.wait(
            lambda command: getattr(command, "payload", None) == payload.encode(), within=within
        )


def context_of(
    faults: Arrivals[str | None],
    ready: asyncio.Event,
    node: str = "pi",
    delivered: Callable[[str, Event], None] = lambda _name, _event: None,
) -> Context:
    def fault(part: str, sentence: str | None) -> None:
        assert part == "mqtt" or part.startswith("name of ")
        faults.put(sentence)

    return Context(
        node=node,
        state_dir=NOWHERE,
        speakers=("kitchen",),
        targets=TARGETS,
        fault=fault,
        ready=ready,
        delivered=delivered,
    )


@contextlib.asynccontextmanager
async def listening(
    port: int | None,
    *,
    ready: bool = True,
    node: str = "pi",
    safe: bool = True,
    **options: Any,
) -> AsyncIterator[Heard]:
    """Run the source against 127.0.0.1:`port`; None is no host at all.

    What is to be said is acknowledged at once, or with `safe=False` only by the test.
    """
    commands: Arrivals[Command] = Arrivals("commands")
    faults: Arrivals[str | None] = Arrivals("faults")
    is_ready = asyncio.Event()
    if ready:
        is_ready.set()
    where = {} if port is None else {"host": "127.0.0.1", "port": port}

    def submit(command: Command) -> None:
        commands.put(command)
        if safe and isinstance(command, Say) and command.acknowledge is not None:
            command.acknowledge()

    delivered: list[tuple[str, Event]] = []

    def note(name: str, event: Event) -> None:
        delivered.append((name, event))

    source = MqttSource(context_of(faults, is_ready, node, note), msgspec.convert({**where, **options}, Mqtt))
    async with source:
        task = asyncio.create_task(source.listen(submit))
        try:
            yield Heard(source, commands, faults, is_ready, delivered, task.cancel)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.asynccontextmanager
async def house(broker: Broker, **options: Any) -> AsyncIterator[tuple[Heard, MqttClient]]:
    """The source, available, and somebody to talk to it."""
    async with listening(broker.port, **options) as heard, MqttClient(broker) as client:
        availability = await client.collect("edgevoice/pi/availability")
        await availability.wait_for_payload("online")
        yield heard, client


async def says(broker: Broker, heard: Heard, text: str, **login: str) -> None:
    """Somebody publishes, and the source hears it."""
    async with MqttClient(broker, **login) as client:
        await client.publish_until_heard("edgevoice/all/say", text)
        await heard.wait_for(text)


def a_say(command: Command, **keys: Any) -> bool:
    """Whether the command says just that, in the name of its target."""
    assert isinstance(command, Say)
    assert command.acknowledge is not None
    return replace(command, acknowledge=None) == Say(**{"topic": command.target, **keys})


def an_event(
    name: str = "a1", step: EventType = EventType.FINISHED, speaker: str = "kitchen", **more: Any
) -> Event:
    urgency = more.pop("urgency", Urgency.NORMAL)
    return Event(event_type=step, id=name, speaker=speaker, target="all", at=AT, urgency=urgency, **more)
