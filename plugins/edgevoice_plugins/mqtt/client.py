"""The paho client of one connection, and its messages as our own."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgevoice_plugins.mqtt.topics import LARGEST, Message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from paho.mqtt.client import MQTTMessage

    from edgevoice_plugins.mqtt.options import Broker
    from edgevoice_plugins.mqtt.outbox import Outgoing
    from edgevoice_plugins.mqtt.topics import Filter

KEEPALIVE = 20
"""Seconds of silence after which the broker is asked whether it lives; twice that, and it is lost."""
_LARGEST_PACKET = LARGEST + 4096
"""Room for topic and properties: a payload of exactly `LARGEST` has to get through."""


def new_client(broker: Broker, version: str, client_id: str, *, clean: bool, will: Outgoing | None) -> Client:
    """A client that has not connected yet; it never connects a second time by itself."""
    five = version == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        clean_session=None if five else clean,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.suppress_exceptions = True
    if broker.username is not None:
        client.username_pw_set(broker.username, broker.password)
    if broker.tls:
        client.tls_set_context(_tls(broker.ca_file))
    if will is not None:
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
    client.on_socket_open = _without_delay
    # With this callback, publish() leaves the writing to the network thread instead of doing it itself.
    client.on_socket_register_write = _left_to_the_thread
    return client


def connect(client: Client, broker: Broker, *, clean: bool, expiry: int) -> None:
    """Open the socket; blocks for names, TCP and TLS."""
    if client.protocol != MQTTProtocolVersion.MQTTv5:
        client.connect(broker.host, broker.port, keepalive=KEEPALIVE)
        return
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = expiry
    properties.MaximumPacketSize = _LARGEST_PACKET
    client.connect(broker.host, broker.port, keepalive=KEEPALIVE, clean_start=clean, properties=properties)


def subscribe(client: Client, filters: Sequence[Filter]) -> int | None:
    """Ask for these topics, QoS 1; the packet id, None without a socket. MQTT 3.1.1 knows no more than that."""
    if client.protocol == MQTTProtocolVersion.MQTTv5:
        return client.subscribe([(asked.topic, _options(asked)) for asked in filters])[1]
    return client.subscribe([(asked.topic, 1) for asked in filters])[1]


def _options(asked: Filter) -> SubscribeOptions:
    handling = (
        SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if asked.kept else SubscribeOptions.RETAIN_DO_NOT_SEND
    )
    return SubscribeOptions(qos=1, retainHandling=handling)


def publish(client: Client, message: Outgoing) -> int:
    """Hand over one message, QoS 1; its packet id."""
    properties = None
    told = message.correlation is not None or message.content_type is not None
    if told and client.protocol == MQTTProtocolVersion.MQTTv5:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if message.correlation is not None:
            properties.CorrelationData = message.correlation
        if message.content_type is not None:
            properties.ContentType = message.content_type
    return client.publish(
        message.topic, message.payload, qos=1, retain=message.retain, properties=properties
    ).mid


def received(message: MQTTMessage) -> Message:
    """A message of paho's, which is ten times as large, as ours, without what a delivery is known by."""
    told: Any = message.properties
    expires = getattr(told, "MessageExpiryInterval", None)
    return Message(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=message.retain,
        redelivered=message.dup,
        expires=None if expires is None else float(expires),
        content_type=getattr(told, "ContentType", None),
        response_topic=getattr(told, "ResponseTopic", None),
        correlation=getattr(told, "CorrelationData", None),
    )


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, where paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _TlsSocket
    return context


def _without_delay(_client: Client, _userdata: object, sock: object) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _left_to_the_thread(_client: Client, _userdata: object, _sock: object) -> None:
    pass
