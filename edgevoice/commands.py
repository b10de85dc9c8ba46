"""What a source may ask of the daemon, as plain values: say, a piece of live text, stop."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Say `payload`: text, or one JSON object (contract, "keys of an announcement").

    `urgency` is the one the source itself was told (a topic's level) and wins over the payload's.
    `expires` is how many seconds the sender's message still lives. `origin` is handed back, untouched,
    with each event of this announcement, so that a source can answer the sender. `topic` is what the
    sender is limited and named by. `acknowledge` is called once it is safe; until then the sender's
    side may deliver it again, `redelivered`.
    """

    target: str
    payload: bytes
    urgency: str | None = None
    expires: float | None = None
    topic: str | None = None
    redelivered: bool = False
    acknowledge: Callable[[], None] | None = None
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveChunk:
    """The next piece of the live text `id`, verbatim; an empty payload ends it.

    `is_json` says that the payload was declared to be JSON (options and `end`). `delivery` names this
    one delivery if it may be a redelivery (None if it cannot): a piece whose delivery was seen is dropped.
    """

    target: str
    id: str
    payload: bytes
    is_json: bool = False
    delivery: Hashable = None
    redelivered: bool = False
    expires: float | None = None
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Stop on `target`: an empty payload, `all`, an id, or a tag."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """End every alert that insists (empty payload), or the one with this id, on every node."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Say the last ones again: a number, 1 if the payload is empty."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Read the held ones now."""

    target: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSetting:
    """Set `what`, one of volume, mute and dnd, to the payload."""

    target: str
    setting: str
    payload: bytes
    origin: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidCommand:
    """Something that arrived and is never obeyed (`retained`, too large, a topic that names no urgency)."""

    reason: str
    key: str | None = None
    allowed: str | None = None
    target: str | None = None
    origin: object = None


Command: TypeAlias = Say | LiveChunk | Stop | Acknowledge | Replay | Digest | SetSetting | InvalidCommand
Submit: TypeAlias = Callable[[Command], None]
