"""One connection to the broker: a network thread of its own that only hands over to the event loop.

It is never used twice: whatever ends it, the next one has a new client and a new thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from paho.mqtt.client import error_string
from paho.mqtt.enums import MQTTErrorCode

from edgevoice_plugins.mqtt import client as paho
from edgevoice_plugins.mqtt.acknowledgements import Acknowledgements
from edgevoice_plugins.mqtt.failures import (
    FAILED,
    BrokerError,
    Unreachable,
    refused,
    unanswered,
    unreachable,
)
from edgevoice_plugins.mqtt.handover import Handover
from edgevoice_plugins.mqtt.options import THREAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

    from edgevoice_plugins.mqtt.options import Broker
    from edgevoice_plugins.mqtt.outbox import Outgoing
    from edgevoice_plugins.mqtt.session import Session
    from edgevoice_plugins.mqtt.topics import Filter, Message

_OPEN = 30.0
"""Seconds for names, TCP and TLS."""
_ANSWER = 5.0
"""Seconds for the broker's answer to CONNECT, SUBSCRIBE and DISCONNECT."""
_log = logging.getLogger("edgevoice.mqtt")


class Connection:
    """One connection. All but `_run` and paho's callbacks happens in the event loop's thread."""

    progress_within: float = 2 * paho.KEEPALIVE + 5
    """Seconds within which a network thread that is well has been through its loop."""

    def __init__(self, broker: Broker, version: str, session: Session) -> None:
        self.version = version
        self._broker = broker
        self._session = session
        self._tell = Handover().tell
        self._client = paho.new_client(
            broker, version, session.client_id, clean=session.clean, will=session.will
        )
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._turned = time.monotonic()
        self._abandoned = False
        self._acknowledged = False
        self._failure: BrokerError | None = None
        self._socket_open = asyncio.Event()
        self._answered = asyncio.Event()
        self._ended = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._grants: list[int] = []
        self._acknowledgements = Acknowledgements(lambda packet: self._client.ack(packet, 1))

    async def open(self) -> None:
        """Connect, and wait for the broker's answer.

        Raises:
            VersionRefused: another version of MQTT may be understood.
            BrokerError: it cannot be reached, or refuses us.
        """
        self._thread.start()
        try:
            failure = await self._refusal()
        except asyncio.CancelledError:
            self.abandon()
            raise
        if failure is not None:
            self.abandon(failure)
            raise failure

    async def _refusal(self) -> BrokerError | None:
        if not await _set_within(self._socket_open, _OPEN):
            return unreachable(self._broker, TimeoutError())
        if not await _set_within(self._answered, _ANSWER):
            return unanswered(self._broker)
        return self._failure

    async def subscribe(self, filters: Sequence[Filter]) -> list[str]:
        """Subscribe once, QoS 1; returns what the broker refuses.

        Raises:
            BrokerError: it does not answer.
        """
        if paho.subscribe(self._client, filters) is None:
            raise self._lost("it was lost")
        if not await _set_within(self._subscribed, _ANSWER):
            raise self._lost("no answer to SUBSCRIBE")
        if self._failure is not None:
            raise self._failure
        return [asked.topic for asked, code in zip(filters, self._grants, strict=False) if code >= FAILED]

    def publish(self, message: Outgoing) -> int:
        """Hand over one message, QoS 1; returns the packet id that `published` will be told."""
        return paho.publish(self._client, message)

    async def ended(self) -> BrokerError:
        """Wait until the connection is lost, or its thread is; returns why."""
        while not await _set_within(self._ended, self.progress_within / 2):
            if not self._thread.is_alive() or time.monotonic() - self._turned > self.progress_within:
                self.abandon(self._lost("its network thread has stopped"))
        return self._failure or self._lost("it was closed")

    def abandon(self, failure: BrokerError | None = None) -> None:
        """Let go of it without a farewell, so that the broker publishes the last will."""
        self._abandoned = True
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                # Not the method of an SSLSocket, which would change what the network thread is using.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._finish(failure or self._lost("it was given up"))

    async def close(self) -> None:
        """End it in order; what was not published yet is lost with it."""
        if not self._ended.is_set():
            self._client.disconnect()
            if not await _set_within(self._ended, _ANSWER):
                self.abandon()

    def _lost(self, why: str) -> BrokerError:
        return Unreachable(f"the connection to the broker at {self._broker.where} ended: {why}")

    def _finish(self, failure: BrokerError) -> None:
        self._failure = self._failure or failure
        self._acknowledgements.close()
        for event in (self._ended, self._subscribed, self._answered, self._socket_open):
            event.set()

    def _answer(self, code: int, reason: str, present: bool) -> None:
        if code >= FAILED:
            self._failure = refused(self._broker, code, reason)
        elif not present:
            self._session.number += 1
        self._answered.set()

    def _grant(self, codes: list[int]) -> None:
        self._grants = codes
        self._subscribed.set()

    def _deliver(self, message: Message, packet: int | None) -> None:
        if self._ended.is_set():
            return  # not acknowledged, it comes again with the next connection
        acknowledge = _nothing
        if packet is not None:
            acknowledge = self._acknowledgements.expect(packet)
            # The number tells the packet ids of one session from those of another.
            delivery = self._session.number, packet
            message = replace(message, delivery=delivery, acknowledge=acknowledge)
        try:
            self._session.received(message)
        except Exception:  # noqa: BLE001 - logged
            # Not acknowledged, it would come again and again, and in the end stop all others.
            _log.exception("a message could not be taken")
            acknowledge()

    # What follows runs in the network thread.

    def _run(self) -> None:
        failure = self._lost("its network thread has died")
        client, session = self._client, self._session
        try:
            paho.connect(client, self._broker, clean=session.clean, expiry=session.expiry)
            self._tell(self._socket_open.set)
            code = MQTTErrorCode.MQTT_ERR_SUCCESS
            while code == MQTTErrorCode.MQTT_ERR_SUCCESS and not self._abandoned:
                self._turned = time.monotonic()

                # The broker may have asked for a shorter one.
                code = client.loop(min(client.keepalive or paho.KEEPALIVE, paho.KEEPALIVE))
            if self._acknowledged:
                failure = self._lost(error_string(code).rstrip(".").lower())
            else:
                failure = unanswered(self._broker)
        except Exception as error:  # noqa: BLE001 - whatever it was, a new connection is the cure
            failure = unreachable(self._broker, error)
        except BaseException:  # noqa: BLE001 - nobody above this thread would be told
            _log.debug("the network thread was ended", exc_info=True)
        finally:
            # Without its callbacks the client belongs to no cycle, and closes its sockets when it is let go.
            client.on_connect = client.on_disconnect = client.on_subscribe = None
            client.on_message = client.on_publish = None
            self._tell(self._finish, failure)

    def _on_connect(
        self, _client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._acknowledged = True
        self._tell(self._answer, reason.value, str(reason), flags.session_present)

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._tell(self._finish, refused(self._broker, reason.value, str(reason)))

    def _on_subscribe(
        self, _client: Client, _data: object, _packet: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        self._tell(self._grant, [code.value for code in codes])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._tell(self._deliver, paho.received(message), message.mid if message.qos else None)

    def _on_publish(
        self, _client: Client, _data: object, packet: int, reason: ReasonCode, _properties: object
    ) -> None:
        self._tell(self._session.published, packet, reason.value)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _nothing() -> None:
    """Acknowledge what wants no acknowledgement."""
