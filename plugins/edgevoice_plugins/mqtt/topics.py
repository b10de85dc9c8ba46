"""Topics: those the source subscribes to, the command that a message on one stands for, and reply topics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice import (
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

#: Larger payloads are dropped (docs/guides/mqtt.md).
MAX_PAYLOAD_BYTES = 64 * 1024
#: Every node tells here which alert was acknowledged: for the other nodes, and for all its own speakers.
ACKNOWLEDGE_ALL = "all/ack"
_MAX_REPLY_TOPIC_BYTES = 1024
_COMMANDS = (
    "say",
    "say/+",
    "stream/+",
    "stop",
    "ack",
    "replay",
    "digest",
    "volume/set",
    "mute/set",
    "dnd/set",
)
_SIMPLE: dict[str, type[Stop | Acknowledge | Replay | Digest]] = {
    "stop": Stop,
    "ack": Acknowledge,
    "replay": Replay,
    "digest": Digest,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it arrived.

    `delivery` identifies a message that may be delivered again (None for QoS 0). The broker keeps the
    message, and delivers it on the next connection, until `acknowledge` is called.
    """

    topic: str
    payload: bytes
    retained: bool = False
    redelivered: bool = False
    delivery: Hashable = None
    expires_s: float | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    acknowledge: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """The reply address of a message's sender (MQTT 5)."""

    response_topic: str
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A topic filter to subscribe to, with or without the retained messages."""

    topic: str
    wants_retained: bool = False


def filters(base: str, targets: Iterable[str]) -> list[Filter]:
    """Return the topic filters of every command for these targets."""
    return [Filter(f"{base}/{target}/{command}") for target in sorted(targets) for command in _COMMANDS]


def command_of(base: str, message: Message) -> Command | None:
    """Return the command of a message, None if its topic is none of `filters`."""
    target, _, name = message.topic.removeprefix(f"{base}/").partition("/")
    origin = origin_of(base, message)
    command = _command(message, target, name, origin)
    if command is None:
        return None
    if message.retained:
        return InvalidCommand(reason="retained", target=target, origin=origin)
    if len(message.payload) > MAX_PAYLOAD_BYTES:
        allowed = f"at most {MAX_PAYLOAD_BYTES} bytes"
        return InvalidCommand(reason="too large", allowed=allowed, target=target, origin=origin)
    return command


def _command(message: Message, target: str, name: str, origin: Origin | None) -> Command | None:
    match name.split("/"):
        case ["say"]:
            return _say(message, target, None, origin)
        case ["say", urgency]:
            return _say(message, target, urgency, origin)
        case ["stream", stream_id]:
            return _live_chunk(message, target, stream_id, origin)
        case [("volume" | "mute" | "dnd") as setting, "set"]:
            return SetSetting(target=target, setting=setting, payload=message.payload, origin=origin)
        case [simple] if simple in _SIMPLE:
            return _SIMPLE[simple](target=target, payload=message.payload, origin=origin)
    return None


def _say(message: Message, target: str, urgency: str | None, origin: Origin | None) -> Say:
    return Say(
        target=target,
        payload=message.payload,
        urgency=urgency,
        expires=message.expires_s,
        topic=message.topic,
        redelivered=message.redelivered,
        acknowledge=message.acknowledge,
        origin=origin,
    )


def _live_chunk(message: Message, target: str, stream_id: str, origin: Origin | None) -> LiveChunk:
    return LiveChunk(
        target=target,
        id=stream_id,
        payload=message.payload,
        is_json=_is_json(message.content_type),
        delivery=message.delivery,
        redelivered=message.redelivered,
        expires=message.expires_s,
        origin=origin,
    )


def origin_of(base: str, message: Message) -> Origin | None:
    """Return the reply address of a message, None if it has none that EdgeVoice publishes to.

    Any client that may publish a command chooses this topic, and the daemon publishes there with its own
    rights. So a reply never goes to a topic under the base topic, to a command topic of another EdgeVoice, to a
    `$` topic, or to one that cannot be published to. Everything else is for the broker's access list.
    """
    topic = message.response_topic
    if not topic or topic == base or topic.startswith((f"{base}/", "$")):
        return None
    if any(sign in topic for sign in "+#\x00") or len(topic.encode()) > _MAX_REPLY_TOPIC_BYTES:
        return None
    return None if _is_command_topic(topic) else Origin(topic, message.correlation)


def _is_command_topic(topic: str) -> bool:
    """Whether some base topic makes this a command of EdgeVoice: `<base>/<target>/<command>`."""
    levels = topic.split("/")
    for command in _COMMANDS:
        wanted = command.split("/")
        tail = levels[-len(wanted) :]
        if len(levels) >= len(wanted) + 2 and all(
            want in ("+", level) for want, level in zip(wanted, tail, strict=True)
        ):
            return True
    return False


def _is_json(content_type: str | None) -> bool:
    return (content_type or "").partition(";")[0].strip().lower() == "application/json"
