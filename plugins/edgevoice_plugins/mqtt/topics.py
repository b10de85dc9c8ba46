"""What a message on a topic asks for, and the topics that are listened to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.commands import Command, Piece, Say, Stop, Unusable

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

LARGEST = 64 * 1024
"""Bytes of a payload that is still looked at (contract)."""
_LONGEST_TOPIC = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it arrived; `delivery` names it if it may come again, `expires` is in seconds."""

    topic: str
    payload: bytes
    retained: bool = False
    redelivered: bool = False
    delivery: Hashable = None
    expires: float | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the sender of a message wants to be answered (MQTT 5)."""

    response_topic: str
    correlation: bytes | None = None


def filters(base: str, targets: Iterable[str]) -> list[str]:
    """The topic filters of everything that may be asked of these targets."""
    asked = ("say", "say/+", "stream/+", "stop")
    return [f"{base}/{target}/{what}" for target in sorted(targets) for what in asked]


def command_of(base: str, message: Message) -> Command | None:
    """The command of a message, None if its topic is none of `filters`."""
    target, _, asked = message.topic.removeprefix(f"{base}/").partition("/")
    origin = origin_of(base, message)
    if message.retained:
        return Unusable(reason="retained", target=target, origin=origin)
    if len(message.payload) > LARGEST:
        allowed = f"at most {LARGEST} bytes"
        return Unusable(reason="too large", allowed=allowed, target=target, origin=origin)
    match asked.split("/"):
        case ["say"] | ["say", _] as say:
            return Say(
                target=target,
                payload=message.payload,
                urgency=say[1] if len(say) > 1 else None,
                expires=message.expires,
                origin=origin,
            )
        case ["stream", name]:
            return Piece(
                target=target,
                id=name,
                payload=message.payload,
                is_json=_is_json(message.content_type),
                delivery=message.delivery,
                redelivered=message.redelivered,
                expires=message.expires,
                origin=origin,
            )
        case ["stop"]:
            return Stop(target=target, payload=message.payload, origin=origin)
    return None


def origin_of(base: str, message: Message) -> Origin | None:
    """Where to answer; nowhere that would be a command again, and nowhere that cannot be published to."""
    topic = message.response_topic
    if not topic or topic == base or topic.startswith(f"{base}/"):
        return None
    if any(sign in topic for sign in "+#\x00") or len(topic.encode()) > _LONGEST_TOPIC:
        return None
    return Origin(topic, message.correlation)


def _is_json(content_type: str | None) -> bool:
    return (content_type or "").partition(";")[0].strip().lower() == "application/json"
