"""The demo's MQTT client: publishes the announcements, and collects their events."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edgevoice import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice_plugins.demo.scenario import Step

#: Pause between two chunks of live text.
LIVE_PAUSE_S = 0.4


class DemoClient:
    """A client of the demo's broker. `on_event` is called after each event of an announcement."""

    def __init__(self, port: int, speaker: str, on_event: Callable[[], None]) -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._port = port
        self._base = f"edgevoice/{speaker}"
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._online = False
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="edgevoice-demo-client")
        self._client.on_message = self._on_message

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port)
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()
        self._client.subscribe([(f"{self._base}/event", 1), ("edgevoice/+/availability", 1)])
        await self._wait_until(lambda: self._online)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def publish(self, step: Step) -> None:
        """Publish the announcement of a step; live text chunk by chunk."""
        if step.chunks:
            for chunk in step.chunks:
                self._client.publish(f"{self._base}/stream/{step.id}", chunk, qos=1)
                await asyncio.sleep(LIVE_PAUSE_S)
            self._client.publish(f"{self._base}/stream/{step.id}", b"", qos=1)
            return
        urgency = f"/{step.urgency}" if step.urgency else ""
        payload = json.dumps({"text": step.text, "id": step.id, **step.keys})
        self._client.publish(f"{self._base}/say{urgency}", payload, qos=1)

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

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._loop.call_soon_threadsafe(self._receive, message.topic, bytes(message.payload))

    def _receive(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/availability"):
            self._online = payload == b"online"
        else:
            event = json.loads(payload)
            self.events[event["id"]].append(event)
            self._on_event()
        self._changed.set()
