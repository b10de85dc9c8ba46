"""What is still to be published: events in order, and of each retained topic the latest."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

KEPT_OFFLINE = 200
"""Events that wait for the broker's return; of more, the oldest are dropped."""
KEPT_ONLINE = 5000
"""Events that wait for a broker that is slow."""
TOLD_AFTER = 0.005
"""Seconds until what is put is published: nobody waits for it so much as for the sound that it tells of."""
AGAIN_AFTER = 1.0
"""Seconds until what could not be handed over is tried again."""
IN_FLIGHT = 10
"""Messages that the broker has not acknowledged yet, at most; some brokers end the connection for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to publish, QoS 1; `correlation` and `content_type` are lost before MQTT 5.

    `delivered` is called once the broker has it; one that is dropped was never delivered.
    """

    topic: str
    payload: bytes
    retain: bool = False
    delivered: Callable[[], None] | None = field(default=None, compare=False)
    correlation: bytes | None = None
    content_type: str | None = None


class Outbox:
    """Keeps each message until the broker has it; after a loss, what it had not is published again."""

    def __init__(self) -> None:
        self._dropped = 0
        self._events: deque[Outgoing] = deque()
        self._latest: dict[str, Outgoing] = {}
        self._changed: dict[str, None] = {}
        self._unacknowledged: dict[int, Outgoing] = {}
        self._publish: Callable[[Outgoing], int] | None = None
        self._pumps: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, message: Outgoing) -> None:
        """Publish it, soon or when there is a broker again."""
        self._empty.clear()
        if message.retain:
            self._latest[message.topic] = message
            self._changed[message.topic] = None
        else:
            self._events.append(message)
            self._trim()
        self._pump_in(TOLD_AFTER)

    def forget(self, topic: str) -> None:
        """A retained topic that is not to be published again by itself."""
        self._latest.pop(topic, None)
        self._changed.pop(topic, None)

    def online(self, publish: Callable[[Outgoing], int]) -> None:
        """There is a broker: `publish` hands it a message, and returns its packet id."""
        self._publish = publish
        self._pump()

    def offline(self) -> None:
        """The broker is gone; it may have lost even what it had retained."""
        self._publish = None
        lost = [message for message in self._unacknowledged.values() if not message.retain]
        self._unacknowledged.clear()
        self._events.extendleft(reversed(lost))
        self._changed = dict.fromkeys(self._latest)
        self._trim()

    def acknowledged(self, packet: int) -> Outgoing | None:
        """The broker has answered for this packet id; returns its message."""
        message = self._unacknowledged.pop(packet, None)
        if message is not None and message.delivered is not None:
            message.delivered()
        self._pump()
        return message

    def take_dropped(self) -> int:
        """How many events were dropped since this was last asked."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    async def emptied(self) -> None:
        """Wait until the broker has everything."""
        await self._empty.wait()

    def _pump_in(self, seconds: float) -> None:
        if self._pumps is None:
            self._pumps = asyncio.get_running_loop().call_later(seconds, self._pump)

    def _pump(self) -> None:
        if self._pumps is not None:
            self._pumps.cancel()
            self._pumps = None
        while self._publish is not None and len(self._unacknowledged) < IN_FLIGHT:
            message = self._next()
            if message is None:
                break
            try:
                packet = self._publish(message)
            except Exception:  # noqa: BLE001 - logged
                _log.exception("publishing to %s broke; it is tried again", message.topic)
                self._put_back(message)
                self._pump_in(AGAIN_AFTER)
                break
            self._unacknowledged[packet] = message
        if not (self._events or self._changed or self._unacknowledged):
            self._empty.set()

    def _next(self) -> Outgoing | None:
        if self._events:
            return self._events.popleft()
        if self._changed:
            topic = next(iter(self._changed))
            del self._changed[topic]
            return self._latest[topic]
        return None

    def _put_back(self, message: Outgoing) -> None:
        """Behind all others: if it can never be published, it keeps nothing else from that."""
        if message.retain:
            self._changed[message.topic] = None
        else:
            self._events.append(message)

    def _trim(self) -> None:
        most = KEPT_OFFLINE if self._publish is None else KEPT_ONLINE
        while len(self._events) > most:
            self._events.popleft()
            self._dropped += 1
