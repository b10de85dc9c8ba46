"""Messages that are not published yet: events in order, and the latest message of each retained topic."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice_plugins.mqtt.errors import FAILURE_CODE

if TYPE_CHECKING:
    from collections.abc import Callable

#: Events kept while there is no broker. Beyond that the oldest are dropped.
MAX_EVENTS_OFFLINE = 200
#: Events kept while the broker is slow.
MAX_EVENTS_ONLINE = 5000
#: Messages without a PUBACK yet. Some brokers end the connection for more.
MAX_IN_FLIGHT = 10
#: Publish in batches: the latency of events matters less than the latency of audio.
BATCH_S = 0.005
RETRY_S = 1.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to publish with QoS 1. `correlation` and `content_type` need MQTT 5.

    `delivered` is called once the broker has acknowledged it, and never if the message is dropped.
    """

    topic: str
    payload: bytes
    retain: bool = False
    correlation: bytes | None = None
    content_type: str | None = None
    delivered: Callable[[], None] | None = field(default=None, compare=False)


class Outbox:
    """Keeps each message until the broker has acknowledged it; after a lost connection it publishes again.

    Events are bounded: the oldest are dropped and logged. A retained topic keeps its latest message for
    every later connection, because a broker may lose what it had retained.
    """

    def __init__(self, *, retry_s: float = RETRY_S) -> None:
        self._retry_s = retry_s
        self._dropped = 0
        self._events: deque[Outgoing] = deque()
        #: The latest message of each retained topic, and the topics whose message is not published yet.
        self._retained: dict[str, Outgoing] = {}
        self._changed: dict[str, None] = {}
        self._in_flight: dict[int, Outgoing] = {}
        self._publish: Callable[[Outgoing], int] | None = None
        self._denied: Callable[[Outgoing], None] = _ignore
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, message: Outgoing) -> None:
        """Publish a message soon, or once there is a connection again."""
        self._empty.clear()
        if message.retain:
            self._retained[message.topic] = message
            self._changed[message.topic] = None
        else:
            self._events.append(message)
            self._trim()
        self._schedule(BATCH_S)

    def discard(self, topic: str) -> None:
        """Do not publish a retained topic again on the next connection."""
        self._retained.pop(topic, None)
        self._changed.pop(topic, None)

    def connected(
        self, publish: Callable[[Outgoing], int], denied: Callable[[Outgoing], None] | None = None
    ) -> None:
        """Start publishing. `publish` sends one message and returns its packet id; `denied` gets those refused."""
        self._publish = publish
        self._denied = denied or _ignore
        self._flush()

    def disconnected(self) -> None:
        """Stop publishing, and requeue whatever was not acknowledged."""
        self._publish = None
        unacknowledged = [message for message in self._in_flight.values() if not message.retain]
        self._in_flight.clear()
        self._events.extendleft(reversed(unacknowledged))
        self._changed = dict.fromkeys(self._retained)
        self._trim()

    def acknowledged(self, packet: int, code: int = 0) -> None:
        """Take note of a PUBACK and its reason code."""
        message = self._in_flight.pop(packet, None)
        if message is not None:
            if message.delivered is not None:
                message.delivered()
            if code >= FAILURE_CODE:
                self._denied(message)
        self._flush()

    async def wait_empty(self) -> None:
        """Wait until the broker has acknowledged everything."""
        await self._empty.wait()

    def _schedule(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._publish is not None and len(self._in_flight) < MAX_IN_FLIGHT:
            message = self._pop_next()
            if message is None:
                break
            try:
                packet = self._publish(message)
            except Exception:
                logger.exception("publishing to %s failed; trying again", message.topic)
                self._requeue(message)
                self._schedule(self._retry_s)
                break
            self._in_flight[packet] = message
        if not (self._events or self._changed or self._in_flight):
            self._empty.set()
            self._report_dropped()

    def _pop_next(self) -> Outgoing | None:
        if self._events:
            return self._events.popleft()
        if self._changed:
            topic = next(iter(self._changed))
            del self._changed[topic]
            return self._retained[topic]
        return None

    def _requeue(self, message: Outgoing) -> None:
        """Put a message back at the end, so that one unpublishable message cannot block the rest."""
        if message.retain:
            self._changed[message.topic] = None
        else:
            self._events.append(message)

    def _trim(self) -> None:
        limit = MAX_EVENTS_OFFLINE if self._publish is None else MAX_EVENTS_ONLINE
        while len(self._events) > limit:
            self._events.popleft()
            self._dropped += 1
            if self._dropped == 1:
                logger.warning("more than %d events wait for the broker: dropping the oldest", limit)

    def _report_dropped(self) -> None:
        if self._dropped:
            logger.warning("%d events were dropped before they could be published", self._dropped)
            self._dropped = 0


def _ignore(_message: Outgoing) -> None:
    pass
