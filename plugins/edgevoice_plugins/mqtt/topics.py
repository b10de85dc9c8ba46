"""What a message on a topic asks for, and the topics that are listened to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.commands import (
    Acknowledge,
    Command,
    Digest,
    InvalidCommand,
    LiveChunk,
    Replay,
    Say,
    SetSetting,
    Stop,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

LARGEST = 64 * 1024
"""Bytes of a payload that is still looked at (contract)."""
ACKNOWLEDGE_ALL = "all/ack"
"""Where a node tells which alert was acknowledged: to the others, and to all its own speakers."""
_LONGEST_TOPIC = 65535
_ASKED = ("say", "say/+", "stream/+", "stop", "ack", "replay", "digest", "volume/set", "mute/set", "dnd/set")
_PLAIN: dict[str, type[Stop | Acknowledge | Replay | Digest]] = {
    "stop": Stop,
    "ack": Acknowledge,
    "replay": Replay,
    "digest": Digest,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it arrived; `delivery` names it if it may come again, `expires` is in seconds.

    Until `acknowledge` is called, the broker keeps it and sends it again to the next connection.
    """

    topic: str
    payload: bytes
    retained: bool = False
    redelivered: bool = False
    delivery: Hashable = None
    expires: float | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    acknowledge: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the sender of a message wants to be answered (MQTT 5)."""

    response_topic: str
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A topic filter to subscribe to, with what is retained there or without."""

    topic: str
    kept: bool = False


def filters(base: str, targets: Iterable[str]) -> list[Filter]:
    """The topic filters of everything that may be asked of these targets."""
    return [Filter(f"{base}/{target}/{what}") for target in sorted(targets) for what in _ASKED]


def command_of(base: str, message: Message) -> Command | None:
    """The command of a message, None if its topic is none of `filters`."""
    target, _, asked = message.topic.removeprefix(f"{base}/").partition("/")
    origin = origin_of(base, message)
    if message.retained:
        return InvalidCommand(reason="retained", target=target, origin=origin)
    if len(message.payload) > LARGEST:
        allowed = f"at most {LARGEST} bytes"
        return InvalidCommand(reason="too large", allowed=allowed, target=target, origin=origin)
    return _asked_of(message, target, asked, origin)


def _asked_of(message: Message, target: str, asked: str, origin: Origin | None) -> Command | None:
    match asked.split("/"):
        case ["say"] | ["say", _] as say:
            return _say(message, target, say[1] if len(say) > 1 else None, origin)
        case ["stream", name]:
            return _piece(message, target, name, origin)
        case [("volume" | "mute" | "dnd") as what, "set"]:
            return SetSetting(target=target, setting=what, payload=message.payload, origin=origin)
        case [plain] if plain in _PLAIN:
            return _PLAIN[plain](target=target, payload=message.payload, origin=origin)
    return None


def _say(message: Message, target: str, urgency: str | None, origin: Origin | None) -> Say:
    return Say(
        target=target,
        payload=message.payload,
        urgency=urgency,
        expires=message.expires,
        topic=target,
        redelivered=message.redelivered,
        acknowledge=message.acknowledge,
        origin=origin,
    )


def _piece(message: Message, target: str, name: str, origin: Origin | None) -> LiveChunk:
    return LiveChunk(
        target=target,
        id=name,
        payload=message.payload,
        is_json=_is_json(message.content_type),
        delivery=message.delivery,
        redelivered=message.redelivered,
        expires=message.expires,
        origin=origin,
    )


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
