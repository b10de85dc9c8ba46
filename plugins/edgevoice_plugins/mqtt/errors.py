"""Errors of the connection to the broker. Each message says what is wrong, where, and what to do."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from edgevoice import EdgeVoiceError

if TYPE_CHECKING:
    from edgevoice_plugins.mqtt.options import Broker

#: The lowest reason code that means a failure (MQTT 5, section 2.4).
FAILURE_CODE = 0x80
_VERSION_REFUSED = 0x84
_CLIENT_ID_REFUSED = 0x85
_LOGIN_REFUSED = (0x86, 0x87)
_SESSION_TAKEN_OVER = 0x8E
_MAX_TOPICS_SHOWN = 3


class BrokerError(EdgeVoiceError):
    """The connection to the broker failed or was lost."""


class UnreachableError(BrokerError):
    """The broker, or the network on the way to it, is down."""


class VersionRefusedError(BrokerError):
    """The broker may not support the requested version of MQTT."""


def connect_failed(broker: Broker, error: BaseException) -> UnreachableError:
    """Return the error for an exception that ended the connection attempt or the network thread."""
    match error:
        case socket.gaierror():
            message = f"the broker's name {broker.host!r} is not known here; check mqtt.host"
        case ConnectionRefusedError():
            message = f"no broker listens at {broker.address}; is it running, is mqtt.port right?"
        case ssl.SSLCertVerificationError():
            message = (
                f"the certificate of {broker.address} is not trusted: {error.verify_message}; "
                "check mqtt.tls.ca_file, mqtt.host, and this machine's clock"
            )
        case ssl.SSLError():
            message = f"no TLS with {broker.address}: {error.reason or error}; check mqtt.port and mqtt.tls"
        case TimeoutError():
            message = f"the broker at {broker.address} cannot be reached: no answer in time"
        case ConnectionResetError() if broker.tls:
            message = f"{broker.address} ended the TLS handshake; does it speak TLS (mqtt.port, mqtt.tls)?"
        case OSError():
            message = f"the broker at {broker.address} cannot be reached: {error.strerror or error}"
        case _:
            message = f"the connection to {broker.address} failed: {type(error).__name__}: {error}"
    return UnreachableError(message)


def refused(broker: Broker, code: int, reason: str) -> BrokerError:
    """Return the error for the reason code of a CONNACK or DISCONNECT."""
    if code == _VERSION_REFUSED:
        return VersionRefusedError(
            f"the broker at {broker.address} refuses the version of MQTT; see mqtt.version"
        )
    if code == _CLIENT_ID_REFUSED:
        return BrokerError(
            f"the broker at {broker.address} refuses the client id: {reason.lower()}; set mqtt.client_id"
        )
    if code in _LOGIN_REFUSED:
        return BrokerError(
            f"the broker at {broker.address} refuses {broker.user}: {reason.lower()}; "
            "check mqtt.username and mqtt.password_file"
        )
    if code == _SESSION_TAKEN_OVER:
        return client_id_conflict(broker)
    return BrokerError(f"the broker at {broker.address} ended the connection: {reason.lower()}")


def client_id_conflict(broker: Broker) -> BrokerError:
    """Return the error for another client with our client id; some brokers only close the connection."""
    return BrokerError(
        f"the broker at {broker.address} ends the connection repeatedly: another client seems to use "
        "the same client id; give each node its own mqtt.client_id"
    )


def closed_before_connack(broker: Broker) -> VersionRefusedError:
    """Return the error for a connection that was closed or left unanswered before a CONNACK."""
    hint = (
        "is mqtt.port its MQTT port, and does it ask for a client certificate (EdgeVoice has none)?"
        if broker.tls
        else "is mqtt.port its MQTT port (not HTTP or WebSocket), and does it require TLS (mqtt.tls)?"
    )
    return VersionRefusedError(
        f"the broker at {broker.address} accepts a connection, but does not answer; {hint}"
    )


def not_authorized(broker: Broker, action: str, topics: list[str]) -> str:
    """Return the message for topics that the broker's access list denies; `action` is a verb phrase."""
    shown = ", ".join(topics[:_MAX_TOPICS_SHOWN])
    if len(topics) > _MAX_TOPICS_SHOWN:
        shown += f" and {len(topics) - _MAX_TOPICS_SHOWN} more"
    return f"the broker does not let {broker.user} {action} {shown}; allow it in the broker's access list"
