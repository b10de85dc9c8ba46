"""Publishes one announcement, complete or as live text, and follows it to its end (`edgevoice say`)."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevoice import OUTCOMES, EventType
from edgevoice_plugins.mqtt.connection import Session, connected
from edgevoice_plugins.mqtt.errors import FAILURE_CODE, BrokerError, not_authorized
from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.topics import Filter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice_plugins.mqtt.connection import Connection
    from edgevoice_plugins.mqtt.options import Broker
    from edgevoice_plugins.mqtt.topics import Message

#: A speaker must reply for the first time within this time.
FIRST_REPLY_S = 1.0
_PUBACK_TIMEOUT_S = 10.0
#: The reason code "no matching subscribers" (MQTT 5).
_NO_SUBSCRIBERS = 0x10
_SUCCESSES = frozenset({EventType.FINISHED, EventType.HELD})
_FINAL = OUTCOMES | {EventType.HELD, EventType.DUPLICATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """An announcement to publish. A `text` of None is live text, published in chunks."""

    base: str
    target: str
    text: str | None
    urgency: str | None = None

    def message(self, name: str) -> Outgoing:
        """Return the message of a complete announcement with this id."""
        keys = {"text": self.text, "id": name}
        if self.urgency is not None:
            keys["urgency"] = self.urgency
        return Outgoing(topic=f"{self.base}/{self.target}/say", payload=json.dumps(keys).encode())

    def chunk(self, name: str, text: str, *, first: bool) -> Outgoing:
        """Return the message of a chunk of live text; the first one carries the options."""
        topic = f"{self.base}/{self.target}/stream/{name}"
        if not first:
            return Outgoing(topic=topic, payload=text.encode())
        keys = {"text": text} if self.urgency is None else {"text": text, "urgency": self.urgency}
        return Outgoing(topic=topic, payload=json.dumps(keys).encode(), content_type="application/json")


class Publisher:
    """Publishes one announcement; `show` gets each event about it as it arrives."""

    def __init__(
        self, broker: Broker, request: PublishRequest, show: Callable[[dict[str, Any]], None]
    ) -> None:
        self.id = f"say-{secrets.token_hex(6)}"
        self.replies = ReplyCollector(self.id)
        self._broker = broker
        self._request = request
        self._show = show
        self._changed = asyncio.Event()
        #: Reason codes of the PUBACKs, by packet id.
        self._codes: dict[int, int] = {}

    async def run(self, chunks: AsyncIterator[str], *, follow_s: float | None) -> bool:
        """Publish the announcement; return whether all went well.

        With `follow_s`, wait that long for its end on every speaker that replies.

        Raises:
            BrokerError: the broker cannot be reached, or no daemon is listening.
        """
        session = Session(
            client_id=f"edgevoice-{self.id}",
            on_message=self._receive,
            on_published=self._on_published,
            clean=True,
        )
        async with connected(self._broker, session) as connection:
            publishing = asyncio.create_task(self._run(connection, chunks, follow_s))
            lost = asyncio.create_task(connection.ended())
            try:
                await asyncio.wait({publishing, lost}, return_when=asyncio.FIRST_COMPLETED)
                if not publishing.done():
                    raise lost.result()
                return await publishing
            finally:
                publishing.cancel()
                lost.cancel()

    async def _run(self, connection: Connection, chunks: AsyncIterator[str], follow_s: float | None) -> bool:
        if follow_s is not None:
            await self._subscribe(connection)
        if self._request.text is None:
            await self._publish_live(connection, chunks)
        else:
            await self._publish(connection, self._request.message(self.id))
        return follow_s is None or await self._follow(follow_s)

    async def _subscribe(self, connection: Connection) -> None:
        if refused := await connection.subscribe([Filter(f"{self._request.base}/+/event")]):
            raise BrokerError(not_authorized(self._broker, "subscribe to", refused))

    async def _publish_live(self, connection: Connection, chunks: AsyncIterator[str]) -> None:
        first = True
        async for text in chunks:
            await self._publish(connection, self._request.chunk(self.id, text, first=first))
            first = False
        if first:
            raise BrokerError("nothing to say: standard input was empty")
        await self._publish(connection, self._request.chunk(self.id, "", first=False))

    async def _publish(self, connection: Connection, message: Outgoing) -> None:
        packet = connection.publish(message)
        try:
            async with asyncio.timeout(_PUBACK_TIMEOUT_S):
                while packet not in self._codes:
                    await self._wait_for_change()
        except TimeoutError:
            raise BrokerError(f"the broker at {self._broker.address} does not accept the message") from None
        code = self._codes.pop(packet)
        if code >= FAILURE_CODE:
            raise BrokerError(not_authorized(self._broker, "publish to", [message.topic]))
        if code == _NO_SUBSCRIBERS:
            raise BrokerError(
                f"nothing is subscribed to {message.topic}: no daemon is running at this broker, "
                f"or none has a speaker or group {self._request.target!r}"
            )

    async def _follow(self, timeout_s: float) -> bool:
        await asyncio.sleep(FIRST_REPLY_S)
        if not self.replies.any_reply:
            raise BrokerError(f"no speaker replied for {self._request.target!r} within {FIRST_REPLY_S:g} s")
        try:
            async with asyncio.timeout(timeout_s):
                while not self.replies.done:
                    await self._wait_for_change()
        except TimeoutError:
            pending = ", ".join(f"{speaker}: {step}" for speaker, step in self.replies.pending.items())
            raise BrokerError(f"not done after {timeout_s:g} s ({pending})") from None
        return self.replies.succeeded

    def _receive(self, message: Message) -> None:
        event = self.replies.add(message.payload)
        if event is not None:
            self._show(event)
            self._changed.set()
        message.acknowledge()

    def _on_published(self, packet: int, code: int) -> None:
        self._codes[packet] = code
        self._changed.set()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class ReplyCollector:
    """The last event type of each speaker that has replied about the announcement `id`."""

    def __init__(self, id: str) -> None:  # noqa: A002 - the name of the key
        self.id = id
        self.last_events: dict[str, str] = {}
        self.rejected = False

    def add(self, payload: bytes) -> dict[str, Any] | None:
        """Add the payload of an event; return the event if it is about this announcement."""
        try:
            event = json.loads(payload)
        except ValueError:
            return None
        if not isinstance(event, dict) or event.get("id") != self.id:
            return None
        if event.get("event_type") == "rejected":
            self.rejected = True
        elif isinstance(event.get("speaker"), str):
            self.last_events[event["speaker"]] = str(event.get("event_type"))
        return event

    @property
    def any_reply(self) -> bool:
        return self.rejected or bool(self.last_events)

    @property
    def done(self) -> bool:
        """Whether every speaker that replied is done with the announcement."""
        return self.any_reply and not self.pending

    @property
    def succeeded(self) -> bool:
        """Whether every speaker that replied finished or held the announcement."""
        return bool(self.last_events) and not self.rejected and set(self.last_events.values()) <= _SUCCESSES

    @property
    def pending(self) -> dict[str, str]:
        """The last event type of each speaker that is not done."""
        return {speaker: step for speaker, step in self.last_events.items() if step not in _FINAL}
