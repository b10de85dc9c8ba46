"""Publishes the demo's announcements over MQTT, as anybody would, and watches what becomes of them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edgevoice.outcome import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice_plugins.demo.script import Act

LIVE_PAUSE = 0.4
"""Seconds between the pieces of live text."""


class Audience:
    """A client of the demo's broker; `news` is called with each event of an announcement."""

    def __init__(self, port: int, speaker: str, news: Callable[[], None]) -> None:
        self.steps: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._port = port
        self._base = f"edgevoice/{speaker}"
        self._news = news
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._online = False
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="edgevoice-demo-audience")
        self._client.on_message = self._on_message

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port)
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()
        self._client.subscribe([(f"{self._base}/event", 1), ("edgevoice/+/availability", 1)])
        await self._until(lambda: self._online)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def publish(self, act: Act) -> None:
        """Publish one announcement, live text piece by piece."""
        if act.pieces:
            for piece in act.pieces:
                self._client.publish(f"{self._base}/stream/{act.id}", piece, qos=1)
                await asyncio.sleep(LIVE_PAUSE)
            self._client.publish(f"{self._base}/stream/{act.id}", b"", qos=1)
            return
        level = f"/{act.urgency}" if act.urgency else ""
        payload = json.dumps({"text": act.text, "id": act.id, **act.keys})
        self._client.publish(f"{self._base}/say{level}", payload, qos=1)

    async def step(self, act: Act, wanted: str) -> None:
        """Wait for a step of an announcement, or its outcome."""
        await self._until(lambda: wanted in self.names(act) or self.outcome(act) is not None)

    async def ended(self, act: Act) -> dict[str, Any]:
        """Wait for the outcome of an announcement."""
        await self._until(lambda: self.outcome(act) is not None)
        return self.outcome(act) or {}

    def names(self, act: Act) -> list[str]:
        return [event["event_type"] for event in self.steps[act.id]]

    def outcome(self, act: Act) -> dict[str, Any] | None:
        return next((event for event in self.steps[act.id] if event["event_type"] in OUTCOMES), None)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._loop.call_soon_threadsafe(self._take, message.topic, bytes(message.payload))

    def _take(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/availability"):
            self._online = payload == b"online"
        else:
            event = json.loads(payload)
            self.steps[event["id"]].append(event)
            self._news()
        self._changed.set()
