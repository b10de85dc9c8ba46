"""The announcement, its urgency, how it repeats, and the priority of its synthesis."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from edgevoice.text.live import LiveText


class Urgency(StrEnum):
    """The ordered scale of urgency. What each step does is configuration."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical. Compare ranks: a StrEnum compares by spelling."""
        return _RANKS[self]


_RANKS = {urgency: rank for rank, urgency in enumerate(Urgency)}
#: Seconds within which the first sound must come, by urgency.
DEFAULT_TTL_S = {Urgency.LOW: 120.0, Urgency.NORMAL: 300.0, Urgency.HIGH: 600.0, Urgency.CRITICAL: 1800.0}


class Priority(IntEnum):
    """The purpose of a synthesis request."""

    #: Pre-render a configured phrase in the background.
    PRERENDER = 0
    #: Synthesize the next announcement during playback of another one.
    PREFETCH = 1
    #: A speaker is waiting for this audio now.
    NEEDED_NOW = 2


class Rank(NamedTuple):
    """The order of requests: by priority, then by urgency (`Urgency.rank`)."""

    priority: Priority
    urgency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPolicy:
    """How often an alert is repeated."""

    #: Number of rounds; None: until it is acknowledged.
    times: int | None = 3
    #: Seconds between rounds.
    every_s: float = 30.0
    #: Whether an acknowledgement ends it.
    until_ack: bool = False
    #: Rounds without acknowledgement after which the targets `escalate_to` get it, too.
    escalate_after: int | None = None
    escalate_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Announcement:
    """An announcement as intake accepted it. The configuration gives the value of each field that is None."""

    id: str
    target: str
    #: The whole text; None if it is live.
    text: str | None = None
    #: The live text; None if it is whole.
    live: LiveText | None = None
    urgency: Urgency
    #: Monotonic seconds at which it was received.
    received_monotonic: float
    #: Wall-clock time at which it was received.
    received_at: datetime
    #: Seconds after `due` within which the first sound must come.
    ttl: float
    #: Seconds after `received_monotonic` before which it is not played.
    not_before: float = 0.0
    #: The wall-clock time that was asked for. While it waits, `not_before` is moved if the clock is set.
    due_at: datetime | None = None
    tag: str | None = None
    voice: str | None = None
    language: str | None = None
    speed: float | None = None
    volume: float | None = None
    chime: str | None = None
    repeat: RepeatPolicy | None = None
    transport: str | None = None
    private: bool = False
    resolves: bool = False
    repeated: bool = False
    warnings: tuple[str, ...] = ()
    topic: str | None = None
    origin: object = field(default=None, repr=False)

    @property
    def due(self) -> float:
        """Monotonic time before which it is not played."""
        return self.received_monotonic + self.not_before

    @property
    def expires(self) -> float:
        """Monotonic time after which it may not start."""
        return self.due + self.ttl


def internal_announcement(
    text: str,
    target: str,
    *,
    received_monotonic: float,
    received_at: datetime,
    private: bool = False,
    tag: str | None = None,
) -> Announcement:
    """Return an announcement that the daemon itself makes, such as a digest."""
    return Announcement(
        id=f"edgevoice-{uuid.uuid4().hex[:8]}",
        target=target,
        text=text,
        urgency=Urgency.NORMAL,
        received_monotonic=received_monotonic,
        received_at=received_at,
        ttl=DEFAULT_TTL_S[Urgency.NORMAL],
        private=private,
        tag=tag,
    )
