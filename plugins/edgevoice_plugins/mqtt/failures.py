"""Why there is no connection to the broker, in a sentence that says what to do."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from edgevoice.errors import EdgeVoiceError

if TYPE_CHECKING:
    from edgevoice_plugins.mqtt.options import Broker

FAILED = 0x80
"""The first of the reason codes that mean a failure (MQTT 5, section 2.4)."""
VERSION_REFUSED = 0x84
_BAD_LOGIN = (0x86, 0x87)
_TAKEN_OVER = 0x8E


class BrokerError(EdgeVoiceError):
    """There is no connection to the broker, or no longer."""


class Unreachable(BrokerError):
    """The broker, or the network on the way to it, is not there."""


class VersionRefused(BrokerError):
    """The broker may not know this version of MQTT."""


def unreachable(broker: Broker, error: BaseException) -> Unreachable:
    """What it means that connecting, or the network thread, ended in this error."""
    match error:
        case socket.gaierror():
            says = f"the broker's name {broker.host!r} is not known here; check mqtt.host"
        case ConnectionRefusedError():
            says = f"no broker listens at {broker.where}; is it running, is mqtt.port right?"
        case ssl.SSLCertVerificationError():
            says = (
                f"the certificate of {broker.where} is not trusted: {error.verify_message}; "
                "check mqtt.tls.ca_file, mqtt.host, and this machine's clock"
            )
        case ssl.SSLError():
            says = f"no TLS with {broker.where}: {error.reason or error}; check mqtt.port and mqtt.tls"
        case TimeoutError():
            says = f"the broker at {broker.where} cannot be reached: no answer in time"
        case ConnectionResetError() if broker.tls:
            says = f"{broker.where} ended the TLS handshake; does it speak TLS (mqtt.port, mqtt.tls)?"
        case OSError():
            says = f"the broker at {broker.where} cannot be reached: {error.strerror or error}"
        case _:
            says = f"the connection to {broker.where} failed: {type(error).__name__}: {error}"
    return Unreachable(says)


def refused(broker: Broker, code: int, reason: str) -> BrokerError:
    """What a CONNACK or DISCONNECT with this reason code means."""
    if code == VERSION_REFUSED:
        return VersionRefused(f"the broker at {broker.where} refuses the version of MQTT; see mqtt.version")
    if code in _BAD_LOGIN:
        return BrokerError(
            f"the broker at {broker.where} refuses {broker.user}: {reason.lower()}; "
            "check mqtt.username and mqtt.password_file"
        )
    if code == _TAKEN_OVER:
        return rivalled(broker)
    return BrokerError(f"the broker at {broker.where} ended the connection: {reason.lower()}")


def rivalled(broker: Broker) -> BrokerError:
    """Somebody else is connected as we are; the broker may say so, or only close the connection."""
    return BrokerError(
        f"the broker at {broker.where} ends the connection again and again: another client seems to use "
        "the same client id; give each node its own mqtt.client_id"
    )


def unanswered(broker: Broker) -> VersionRefused:
    """The connection stood, but was closed or left unanswered before a CONNACK."""
    hint = "" if broker.tls else "; does it want TLS (mqtt.tls)?"
    return VersionRefused(f"the broker at {broker.where} accepts a connection, but does not answer{hint}")


def denied(broker: Broker, what: str, topics: list[str]) -> str:
    """The sentence of a fault: the broker's access list does not let us `what` these topics."""
    shown = ", ".join(topics[:3]) + (f" and {len(topics) - 3} more" if len(topics) > 3 else "")
    return f"the broker does not let {broker.user} {what} {shown}; allow it in the broker's access list"
