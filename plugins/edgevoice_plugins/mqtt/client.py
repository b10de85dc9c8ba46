"""The paho client of one connection: how it is made, and how it connects."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgevoice_plugins.mqtt.topics import MAX_PAYLOAD_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from edgevoice_plugins.mqtt.options import Broker
    from edgevoice_plugins.mqtt.outbox import Outgoing

#: Seconds of silence after which the client pings the broker; after twice that the connection is lost.
KEEPALIVE_S = 20
#: Room for topic and properties: a payload of exactly `MAX_PAYLOAD_BYTES` must get through.
_MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES + 4096


def new_client(broker: Broker, version: str, client_id: str, *, clean: bool, will: Outgoing | None) -> Client:
    """Return a client that is not connected yet and never reconnects by itself."""
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
        client.tls_set_context(_tls_context(broker.ca_file))
    if will is not None:
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
    client.on_socket_open = _disable_nagle
    return client


def connect(client: Client, broker: Broker, *, clean: bool, expiry_s: int) -> None:
    """Open the socket and send CONNECT. Blocks for name resolution, TCP and TLS."""
    if client.protocol != MQTTProtocolVersion.MQTTv5:
        client.connect(broker.host, broker.port, keepalive=KEEPALIVE_S)
        return
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = expiry_s
    properties.MaximumPacketSize = _MAX_PACKET_BYTES
    client.connect(broker.host, broker.port, keepalive=KEEPALIVE_S, clean_start=clean, properties=properties)


class _TlsSocket(ssl.SSLSocket):
    """A TLS socket that closes itself when the handshake fails, where paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = _TlsSocket
    return context


def _disable_nagle(_client: Client, _userdata: object, sock: object) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
