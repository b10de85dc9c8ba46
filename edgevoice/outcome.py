"""Events for observers: progress and outcomes of announcements, rejections, the state of a speaker."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from edgevoice.announcement import Urgency


class EventType(StrEnum):
    """The steps of an announcement on one speaker. It ends with exactly one of the last six."""

    QUEUED = "queued"
    HELD = "held"
    STARTED = "started"
    INTERRUPTED = "interrupted"
    RESUMED = "resumed"
    DUPLICATE = "duplicate"
    FINISHED = "finished"
    EXPIRED = "expired"
    REPLACED = "replaced"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_outcome(self) -> bool:
        return self in OUTCOMES


#: The event types that end an announcement.
OUTCOMES = frozenset(
    {
        EventType.FINISHED,
        EventType.EXPIRED,
        EventType.REPLACED,
        EventType.SUPPRESSED,
        EventType.CANCELLED,
        EventType.FAILED,
    }
)


class Attempt(msgspec.Struct, frozen=True):
    """A transport that was tried and failed."""

    transport: str
    error: str


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds since the message was received; None: unknown, or not yet."""

    queued: int | None = None
    first_audio: int | None = None
    first_sound: int | None = None
    first_speech: int | None = None
    total: int | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A step of an announcement on one speaker, as it is published (docs/guides/mqtt.md)."""

    event_type: EventType
    id: str
    speaker: str
    target: str
    at: datetime
    urgency: Urgency
    tag: str | None = None
    reason: str | None = None
    repeated: bool = False
    warnings: tuple[str, ...] = ()
    transport: str | None = None
    why: str | None = None
    cached: bool = False
    attempts: tuple[Attempt, ...] = ()
    ms: Timings = Timings()
    spoken_s: float | None = None
    volume: int | None = None
    round: int | None = None


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Why an input was not accepted, as it is published on the node's event topic."""

    event_type: str = "rejected"
    node: str
    at: datetime
    target: str | None
    reason: str
    key: str | None = None
    allowed: str | None = None
    id: str | None = None


class CurrentAnnouncement(msgspec.Struct, frozen=True):
    """The announcement that a speaker is playing."""

    id: str
    urgency: Urgency
    since: datetime


class SpeakerState(msgspec.Struct, frozen=True, kw_only=True):
    """The retained state of a speaker."""

    state: str = "idle"
    now: CurrentAnnouncement | None = None
    queue: int = 0
    held: int = 0
    volume: int = 100
    mute: bool = False
    dnd: bool = False
    quiet: bool = False
    fault: str | None = None
