"""Connection to the broker: a paho client, its network thread, and the session it belongs to.

The network thread only hands values over to the event loop (`call_soon_threadsafe`); the loop owns all
other state. A connection is never reused: the next one has a new client and a new thread
(see docs/decisions/mqtt-client.md).

Length: each value is shown on both sides of that hand-over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import error_string
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgevoice_plugins.mqtt.client import KEEPALIVE_S, connect, new_client
from edgevoice_plugins.mqtt.errors import (
    FAILURE_CODE,
    BrokerError,
    UnreachableError,
    VersionRefusedError,
    closed_before_connack,
    connect_failed,
    refused,
)
from edgevoice_plugins.mqtt.options import THREAD_NAME, Timeouts
from edgevoice_plugins.mqtt.topics import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

    from edgevoice_plugins.mqtt.options import Broker
    from edgevoice_plugins.mqtt.outbox import Outgoing
    from edgevoice_plugins.mqtt.topics import Filter

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Session:
    """An MQTT session: the client id, and the callbacks for what arrives; it outlives a connection.

    `on_message` must call `message.acknowledge` once the message is safe; the broker delivers a message
    that was not acknowledged again on the next connection. `on_published` gets the packet id and the
    reason code of each PUBACK.
    """

    client_id: str
    on_message: Callable[[Message], None]
    on_published: Callable[[int, int], None]
    will: Outgoing | None = None
    clean: bool = False
    expiry_s: int = 0
    #: Number of sessions that the broker has created for us. Packet ids start again with each.
    number: int = 0

    def restarted(self) -> None:
        """Note that the broker has created a new session."""
        self.number += 1


@asynccontextmanager
async def connected(
    broker: Broker, session: Session, timeouts: Timeouts | None = None
) -> AsyncIterator[Connection]:
    """Connect with the first of the broker's MQTT versions that it supports; disconnect at the end.

    Raises:
        BrokerError: no connection was made.
    """
    connection = await _open_first_supported(broker, session, timeouts or Timeouts())
    try:
        yield connection
    finally:
        await connection.close()


async def _open_first_supported(broker: Broker, session: Session, timeouts: Timeouts) -> Connection:
    failure = BrokerError(f"no version of MQTT to try with {broker.address}")
    for version in broker.versions:
        try:
            connection = Connection(broker, version, session, timeouts)
            await connection.open()
        except VersionRefusedError as error:
            failure = error
        except (OSError, ValueError) as error:  # a certificate file that was changed, an invalid host name
            raise connect_failed(broker, error) from error
        else:
            return connection
    raise failure


class Connection:
    """A connection that is used once. Everything but `_run` and paho's callbacks runs in the event loop's thread."""

    def __init__(self, broker: Broker, version: str, session: Session, timeouts: Timeouts) -> None:
        self.version = version
        self._broker = broker
        self._session = session
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._client = new_client(broker, version, session.client_id, clean=session.clean, will=session.will)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        # With this callback, publish() leaves the writing to the network thread instead of doing it itself.
        self._client.on_socket_register_write = _leave_to_thread
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._failure: BrokerError | None = None
        self._socket_open = asyncio.Event()
        self._answered = asyncio.Event()
        self._ended = asyncio.Event()
        #: The SUBACK of each SUBSCRIBE that is waited for, by packet id.
        self._subacks: dict[int, asyncio.Future[list[int]]] = {}
        self._acks = OrderedAcks(lambda packet: self._client.ack(packet, 1), timeouts.acknowledge_s)
        # Shared with the network thread; each is a single assignment.
        self._last_progress = time.monotonic()
        self._abandoned = False
        self._connack_received = False

    async def open(self) -> None:
        """Connect, and wait for the CONNACK.

        Raises:
            VersionRefusedError: the broker may support another version of MQTT.
            BrokerError: the broker cannot be reached, or refuses the connection.
        """
        self._thread.start()
        try:
            failure = await self._wait_for_connack()
        except asyncio.CancelledError:
            self.abandon()
            self._drop_client()
            raise
        if failure is not None:
            self.abandon(failure)
            self._drop_client()
            raise failure

    async def _wait_for_connack(self) -> BrokerError | None:
        if not await _set_within(self._socket_open, self._timeouts.open_s):
            return connect_failed(self._broker, TimeoutError())
        if not await _set_within(self._answered, self._timeouts.reply_s):
            return closed_before_connack(self._broker)
        return self._failure

    async def subscribe(self, filters: Sequence[Filter]) -> list[str]:
        """Subscribe with QoS 1; return the topic filters that the broker refuses.

        Raises:
            BrokerError: the broker does not answer, or the connection is lost.
        """
        packet = self._send_subscribe(filters)
        if packet is None or self._ended.is_set():
            raise self._failure or self._lost("it was lost")
        suback = self._subacks[packet] = self._loop.create_future()
        try:
            async with asyncio.timeout(self._timeouts.reply_s):
                codes = await suback
        except TimeoutError:
            raise self._lost("no answer to SUBSCRIBE") from None
        finally:
            del self._subacks[packet]
        return [asked.topic for asked, code in zip(filters, codes, strict=False) if code >= FAILURE_CODE]

    def request_subscription(self, asked: Filter) -> None:
        """Subscribe without waiting for the answer."""
        self._send_subscribe([asked])

    def publish(self, message: Outgoing) -> int:
        """Publish with QoS 1; return the packet id that `Session.on_published` will get."""
        properties = None
        has_properties = message.correlation is not None or message.content_type is not None
        if has_properties and self.version == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if message.correlation is not None:
                properties.CorrelationData = message.correlation
            if message.content_type is not None:
                properties.ContentType = message.content_type
        return self._client.publish(
            message.topic, message.payload, qos=1, retain=message.retain, properties=properties
        ).mid

    async def ended(self) -> BrokerError:
        """Wait until the connection is lost or its thread stops; return the reason."""
        limit_s = self._timeouts.thread_progress_s
        while not await _set_within(self._ended, limit_s / 2):
            if not self._thread.is_alive() or time.monotonic() - self._last_progress > limit_s:
                self.abandon(self._lost("its network thread has stopped"))
        return self._failure or self._lost("it was closed")

    def abandon(self, failure: BrokerError | None = None) -> None:
        """Drop the connection without a DISCONNECT, so that the broker publishes the last will."""
        self._abandoned = True
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                # SSLSocket.shutdown would change what the network thread is using.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._finish(failure or self._lost("it was given up"))

    async def close(self) -> None:
        """Disconnect. Messages that were not published yet are lost with the connection."""
        if not self._ended.is_set():
            self._client.disconnect()
            if not await _set_within(self._ended, self._timeouts.reply_s):
                self.abandon()
        self._drop_client()

    def _drop_client(self) -> None:
        """Let paho's finalizer close its pair of sockets; nothing else does, and `self` may be in a cycle."""
        del self._client

    def _send_subscribe(self, filters: Sequence[Filter]) -> int | None:
        """Send SUBSCRIBE with QoS 1; return its packet id, None without a socket.

        Retain handling is an option of MQTT 5 only: with 3.1.1 the broker always sends retained messages.
        """
        if self.version != "5":
            return self._client.subscribe([(asked.topic, 1) for asked in filters])[1]
        handling = {
            True: SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE,
            False: SubscribeOptions.RETAIN_DO_NOT_SEND,
        }
        return self._client.subscribe(
            [
                (asked.topic, SubscribeOptions(qos=1, retainHandling=handling[asked.wants_retained]))
                for asked in filters
            ]
        )[1]

    def _lost(self, reason: str) -> BrokerError:
        return UnreachableError(f"the connection to the broker at {self._broker.address} ended: {reason}")

    def _finish(self, failure: BrokerError) -> None:
        self._failure = self._failure or failure
        self._acks.close()
        for event in (self._ended, self._answered, self._socket_open):
            event.set()
        for suback in self._subacks.values():
            if not suback.done():
                suback.set_exception(self._failure)

    def _take_connack(self, code: int, reason: str, session_present: bool) -> None:
        if code >= FAILURE_CODE:
            self._failure = refused(self._broker, code, reason)
        elif not session_present:
            self._session.restarted()
        self._answered.set()

    def _take_suback(self, packet: int, codes: list[int]) -> None:
        suback = self._subacks.get(packet)
        if suback is not None and not suback.done():
            suback.set_result(codes)

    def _take_message(self, message: Message, packet: int | None) -> None:
        if self._ended.is_set():
            return  # not acknowledged, so it is delivered again on the next connection
        if packet is not None:
            # The session number tells the packet ids of one session from those of another.
            delivery = self._session.number, packet
            message = replace(message, delivery=delivery, acknowledge=self._acks.defer(packet))
        try:
            self._session.on_message(message)
        except Exception:
            # Without a PUBACK it would be delivered again and again, and finally block all others.
            logger.exception("a message could not be handled")
            message.acknowledge()

    # The rest runs in the network thread.

    def _post(self, callback: Callable[..., None], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(callback, *values)

    def _run(self) -> None:
        failure = self._lost("its network thread has died")
        client, session = self._client, self._session
        try:
            connect(client, self._broker, clean=session.clean, expiry_s=session.expiry_s)
            self._post(self._socket_open.set)
            code = MQTTErrorCode.MQTT_ERR_SUCCESS
            while code == MQTTErrorCode.MQTT_ERR_SUCCESS and not self._abandoned:
                self._last_progress = time.monotonic()
                # The broker may have asked for a shorter keepalive.
                code = client.loop(min(client.keepalive or KEEPALIVE_S, KEEPALIVE_S))
            if self._connack_received:
                failure = self._lost(error_string(code).rstrip(".").lower())
            else:
                failure = closed_before_connack(self._broker)
        except Exception as error:  # noqa: BLE001 - whatever it was, a new connection is the cure
            failure = connect_failed(self._broker, error)
        except BaseException:
            logger.debug("the network thread was ended", exc_info=True)
        finally:
            # Without its callbacks the client is in no reference cycle, so its sockets close when it is dropped.
            client.on_connect = client.on_disconnect = client.on_subscribe = None
            client.on_message = client.on_publish = None
            self._post(self._finish, failure)

    def _on_connect(
        self, _client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._connack_received = True
        self._post(self._take_connack, reason.value, str(reason), flags.session_present)

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._post(self._finish, refused(self._broker, reason.value, str(reason)))

    def _on_subscribe(
        self, _client: Client, _data: object, packet: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        self._post(self._take_suback, packet, [code.value for code in codes])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._post(self._take_message, _received(message), message.mid if message.qos else None)

    def _on_publish(
        self, _client: Client, _data: object, packet: int, reason: ReasonCode, _properties: object
    ) -> None:
        self._post(self._session.on_published, packet, reason.value)


async def _set_within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _leave_to_thread(_client: Client, _userdata: object, _sock: object) -> None:
    pass


def _received(message: MQTTMessage) -> Message:
    """Return a message of paho's as ours, which is a tenth of the size; the caller adds the delivery."""
    properties: Any = message.properties
    expires = getattr(properties, "MessageExpiryInterval", None)
    return Message(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=message.retain,
        redelivered=message.dup,
        expires_s=None if expires is None else float(expires),
        content_type=getattr(properties, "ContentType", None),
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation=getattr(properties, "CorrelationData", None),
    )


@dataclass(slots=True, eq=False)
class _Pending:
    packet: int
    timer: asyncio.TimerHandle | None = None
    is_safe: bool = False


class OrderedAcks:
    """The PUBACKs of one connection, sent in the order in which the messages arrived.

    MQTT requires that order (5.0 and 3.1.1, section 4.6), so a message that is not safe yet holds back
    the PUBACKs of later ones. After `max_wait_s` it is acknowledged anyway, because a broker allows only
    a few unacknowledged messages. `send` gets packet ids, which are valid on this connection only.
    """

    def __init__(self, send: Callable[[int], object], max_wait_s: float) -> None:
        self._send = send
        self._max_wait_s = max_wait_s
        self._pending: deque[_Pending] = deque()

    def defer(self, packet: int) -> Callable[[], None]:
        """Register a message; return the function that marks it safe. Further calls of that do nothing."""
        pending = _Pending(packet)
        pending.timer = asyncio.get_running_loop().call_later(self._max_wait_s, self._overdue, pending)
        self._pending.append(pending)
        return partial(self._safe, pending)

    def close(self) -> None:
        """Send nothing more: the connection is gone, and the broker delivers the pending messages again."""
        for pending in self._pending:
            if pending.timer is not None:
                pending.timer.cancel()
        self._pending.clear()

    def _safe(self, pending: _Pending) -> None:
        pending.is_safe = True
        if pending.timer is not None:
            pending.timer.cancel()
        while self._pending and self._pending[0].is_safe:
            self._send(self._pending.popleft().packet)

    def _overdue(self, pending: _Pending) -> None:
        logger.warning(
            "a message was not stored within %g s; acknowledging it all the same", self._max_wait_s
        )
        self._safe(pending)
