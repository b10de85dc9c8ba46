"""A small MQTT client for tests: publishes with properties, and records the messages it receives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.broker import Broker


#: The reason code of a PUBACK if no client is subscribed (MQTT 5).
NO_SUBSCRIBERS = 0x10


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that a `MqttClient` received."""

    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Mailbox(Arrivals[Received]):
    """The messages of one topic filter, in order."""

    def __init__(self, topic_filter: str) -> None:
        super().__init__(topic_filter)
        self.filter = topic_filter

    @property
    def messages(self) -> list[Received]:
        return self.items

    async def wait_for_payload(self, payload: str, *, within: float = 15.0) -> Received:
        return await self.wait(lambda message: message.payload == payload.encode(), within=within)


class MqttClient:
    """A client for tests, `async with MqttClient(broker) as client:`.

    With a `session` of that many seconds it reconnects to a broker that was restarted, and misses nothing.
    Without, it cannot be used again once the connection was lost.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        version: str = "5",
        username: str | None = None,
        password: str | None = None,
        client_id: str | None = None,
        host: str | None = None,
        session: int = 0,
    ) -> None:
        five = version == "5"
        self._session = session
        self._five = five
        self._where = (host or broker.host, broker.port)
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or f"test-{uuid.uuid4().hex[:10]}",
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        )
        if username is not None:
            self._client.username_pw_set(username, password)
        if broker.ca_file.exists():
            self._client.tls_set(ca_certs=str(broker.ca_file))
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[str] = self._loop.create_future()
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._answered: dict[int, int] = {}
        self._mailboxes: list[Mailbox] = []
        # Otherwise its PUBACKs wait for the delayed ACKs of TCP: 40 ms for every window of messages.
        self._client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_publish = lambda _c, _u, mid, code, _p: self._post(self._answer, mid, code.value)
        self._client.on_subscribe = lambda _c, _u, mid, codes, _p: self._post(
            self._answer, mid, codes[0].value
        )

    async def __aenter__(self) -> Self:
        kept: dict[str, Any] = {}
        if self._session:
            expiry = Properties(PacketTypes.CONNECT)
            expiry.SessionExpiryInterval = self._session
            # mosquitto 2.0 does not store the session of a client that asked for a clean start.
            kept = {"properties": expiry, "clean_start": False}
            self._client.reconnect_delay_set(1, 1)
        self._client.connect(*self._where, keepalive=30, **kept)
        self._client.loop_start()
        async with asyncio.timeout(15):
            refused = await self._connected
        if refused:
            await self.__aexit__()
            raise ConnectionError(refused)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self._client.on_connect = self._client.on_message = None
        self._client.on_publish = self._client.on_subscribe = self._client.on_socket_open = None

    async def publish(
        self,
        topic: str,
        payload: str | bytes = b"",
        *,
        qos: int = 1,
        retain: bool = False,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        expiry: int | None = None,
        content_type: str | None = None,
    ) -> int:
        """Publish, and with QoS 1 wait for the PUBACK; return its reason code."""
        properties = Properties(PacketTypes.PUBLISH) if self._five else None
        given = {
            "ResponseTopic": response_topic,
            "CorrelationData": correlation,
            "MessageExpiryInterval": expiry,
            "ContentType": content_type,
        }
        for name, value in given.items():
            if value is not None:
                setattr(properties, name, value)
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        return await self._reason(info.mid) if qos else 0

    async def publish_until_heard(self, topic: str, payload: str, *, within: float = 30.0) -> None:
        """Publish repeatedly until a client is subscribed to the topic."""
        async with asyncio.timeout(within):
            while await self.publish(topic, payload) == NO_SUBSCRIBERS:
                await asyncio.sleep(0.02)

    async def collect(self, topic_filter: str, *, qos: int = 1) -> Mailbox:
        """Subscribe; return a mailbox for the retained messages and those that arrive from now on."""
        mailbox = Mailbox(topic_filter)
        self._mailboxes.append(mailbox)
        _, mid = self._client.subscribe(topic_filter, qos)
        assert mid is not None
        await self._reason(mid)
        return mailbox

    async def _reason(self, mid: int) -> int:
        if mid in self._answered:
            return self._answered.pop(mid)
        future = self._waiting[mid] = self._loop.create_future()
        async with asyncio.timeout(15):
            return await future

    def _answer(self, mid: int, code: int) -> None:
        future = self._waiting.pop(mid, None)
        if future is None:
            self._answered[mid] = code
        elif not future.done():
            future.set_result(code)

    def _post(self, callback: Callable[..., None], *values: object) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *values)

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._post(self._connect_answered, str(reason) if reason.is_failure else "")

    def _connect_answered(self, refused: str) -> None:
        if not self._connected.done():
            self._connected.set_result(refused)

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        received = Received(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=message.retain,
            correlation=getattr(message.properties, "CorrelationData", None),
        )
        self._post(self._sort, received)

    def _sort(self, received: Received) -> None:
        for mailbox in self._mailboxes:
            if topic_matches_sub(mailbox.filter, received.topic):
                mailbox.put(received)
