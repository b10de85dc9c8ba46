"""A minimal MQTT client on a blocking socket: no thread adds to the time of a publication."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT, PUBLISH, SUBSCRIBE = 0x10, 0x30, 0x82
ACCEPTED = 0


def _text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def packet(kind: int, body: bytes) -> bytes:
    """Return an MQTT packet: type and flags, the length as a variable byte integer, the body."""
    length, rest = b"", len(body)
    while True:
        rest, group = divmod(rest, 128)
        length += bytes([group | (0x80 if rest else 0)])
        if not rest:
            return bytes([kind]) + length + body


def publications(data: bytearray) -> Iterator[tuple[str, bytes]]:
    """Remove the complete packets from the front of `data`; yield topic and payload of each PUBLISH (QoS 0)."""
    while (bounds := _first_packet(data)) is not None:
        begin, end = bounds
        kind, body = data[0] & 0xF0, bytes(data[begin:end])
        del data[:end]
        if kind == PUBLISH:
            size = struct.unpack(">H", body[:2])[0]
            yield body[2 : 2 + size].decode(), body[2 + size :]


def _first_packet(data: bytearray) -> tuple[int, int] | None:
    """Return the begin and end of the first packet's body; None while it is not complete."""
    length = 0
    for place, byte in enumerate(data[1:5]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            begin = place + 2
            return (begin, begin + length) if len(data) >= begin + length else None
    return None


class Publisher:
    """`with Publisher(port, "name") as publisher:`; MQTT 3.1.1, clean, QoS 0."""

    def __init__(self, port: int, name: str) -> None:
        self._address = ("127.0.0.1", port)
        self._name = name
        self._socket = socket.socket()
        self._read = bytearray()

    def __enter__(self) -> Self:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect(self._address)
        self._socket.settimeout(5)
        body = _text("MQTT") + bytes([4, 2]) + struct.pack(">H", 0) + _text(self._name)
        self._socket.sendall(packet(CONNECT, body))
        if self._socket.recv(4)[3] != ACCEPTED:
            raise RuntimeError("the broker refuses the connection")
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def publish(self, topic: str, payload: str | bytes) -> float:
        """Publish; return the time just before, in seconds of the monotonic clock."""
        data = payload.encode() if isinstance(payload, str) else payload
        message = packet(PUBLISH, _text(topic) + data)
        moment = time.monotonic()
        self._socket.sendall(message)
        return moment

    def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 0; retained messages arrive too."""
        self._socket.sendall(packet(SUBSCRIBE, struct.pack(">H", 1) + _text(topic) + b"\0"))

    def received(self, within: float) -> list[tuple[str, bytes]]:
        """Return the received messages, topic and payload; wait up to this many seconds if there are none."""
        self._socket.settimeout(max(within, 0.001))
        try:
            self._read += self._socket.recv(1 << 20)
        except TimeoutError:
            return []
        return list(publications(self._read))
