"""The commands a source submits, as plain values. docs/guides/mqtt.md says what a target and a payload may be."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Announce a text."""

    #: A speaker, a group, or `all`.
    target: str
    #: A text, or one JSON object with the keys of an announcement.
    payload: bytes
    #: Urgency that the source knows from elsewhere, such as the topic; it takes precedence over the payload's.
    urgency: str | None = None
    #: Seconds after which the sender's message is void.
    expires: float | None = None
    #: The sender, for rate limits and in sentences such as "7 more messages for kitchen".
    topic: str | None = None
    #: Whether the sender may have delivered this message before.
    redelivered: bool = False
    #: Called once the announcement is safe. Until then the sender's side may deliver the message again.
    acknowledge: Callable[[], None] | None = None
    #: Passed to `Observer.on_event` with each event of this announcement, so that a source can answer.
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveChunk:
    """Append a chunk to a live text; an empty payload ends it."""

    target: str
    #: Id of the live text.
    id: str
    #: The next chunk, verbatim.
    payload: bytes
    #: Whether the payload was declared to be JSON, with options and `end`.
    is_json: bool = False
    #: Identifies this delivery, if it may come again; a chunk whose delivery was seen before is dropped.
    delivery: Hashable = None
    redelivered: bool = False
    #: Seconds after which the sender's message is void.
    expires: float | None = None
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Stop announcements: the current one (empty payload), `all`, or those with this id or tag."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """Acknowledge repeating alerts on every node: all of them (empty payload), or the one with this id."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Play the last announcements again; the payload is their number, by default 1."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Read the held announcements now."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSetting:
    """Set a speaker's `volume`, `mute` or `dnd` to the payload."""

    target: str
    #: `volume`, `mute` or `dnd`.
    setting: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidCommand:
    """An input that the source itself rejects, such as a retained or an oversized message."""

    #: Reason code, such as `retained`.
    reason: str
    #: The key at fault, if there is one.
    key: str | None = None
    #: The values that would be allowed.
    allowed: str | None = None
    target: str | None = None
    origin: object = None


Command: TypeAlias = Say | LiveChunk | Stop | Acknowledge | Replay | Digest | SetSetting | InvalidCommand
Submit: TypeAlias = Callable[[Command], None]
