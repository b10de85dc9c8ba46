"""The demo's MQTT client: publishes the announcements, and collects their events."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from edgevoice import OUTCOMES
from edgevoice_plugins.mqtt.connection import Connection, Session, connected
from edgevoice_plugins.mqtt.options import Broker
from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.topics import Filter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice_plugins.demo.scenario import Step
    from edgevoice_plugins.mqtt.topics import Message

#: Pause between two chunks of live text.
LIVE_PAUSE_S = 0.4


class DemoClient:
    """A client of the demo's broker. `on_event` is called after each event of an announcement."""

    def __init__(self, port: int, speaker: str, on_event: Callable[[], None]) -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._broker = Broker(host="127.0.0.1", port=port, versions=("3.1.1",))
        self._base = f"edgevoice/{speaker}"
        self._on_event = on_event
        self._changed = asyncio.Event()
        self._online = False
        self._connection: Connection

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Stay connected during the block, which begins once the daemon is available."""
        session = Session(
            client_id="edgevoice-demo-client",
            on_message=self._receive,
            on_published=lambda _packet, _code: None,
            clean=True,
        )
        filters = [Filter(f"{self._base}/event"), Filter("edgevoice/+/availability", wants_retained=True)]
        async with connected(self._broker, session) as self._connection:
            await self._connection.subscribe(filters)
            await self._wait_until(lambda: self._online)
            yield

    async def publish(self, step: Step) -> None:
        """Publish the announcement of a step; live text chunk by chunk."""
        if step.chunks:
            for chunk in step.chunks:
                self._publish(f"stream/{step.id}", chunk)
                await asyncio.sleep(LIVE_PAUSE_S)
            self._publish(f"stream/{step.id}", "")
            return
        urgency = f"/{step.urgency}" if step.urgency else ""
        self._publish(f"say{urgency}", json.dumps({"text": step.text, "id": step.id}))

    async def wait_for(self, step: Step, event_type: str) -> None:
        """Wait for an event of an announcement, or its outcome."""
        await self._wait_until(lambda: event_type in self.event_types(step) or self.outcome(step) is not None)

    async def wait_for_outcome(self, step: Step) -> dict[str, Any]:
        """Wait for the outcome of an announcement."""
        await self._wait_until(lambda: self.outcome(step) is not None)
        return self.outcome(step) or {}

    def event_types(self, step: Step) -> list[str]:
        return [event["event_type"] for event in self.events[step.id]]

    def outcome(self, step: Step) -> dict[str, Any] | None:
        return next((event for event in self.events[step.id] if event["event_type"] in OUTCOMES), None)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _publish(self, topic: str, payload: str) -> None:
        self._connection.publish(Outgoing(topic=f"{self._base}/{topic}", payload=payload.encode()))

    def _receive(self, message: Message) -> None:
        message.acknowledge()
        if message.topic.endswith("/availability"):
            self._online = message.payload == b"online"
        else:
            event = json.loads(message.payload)
            self.events[event["id"]].append(event)
            self._on_event()
        self._changed.set()
