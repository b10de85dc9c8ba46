"""What is to be said: the announcement, its urgency, and text that is still arriving."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from edgevoice.text.live import LiveText


class Urgency(StrEnum):
    """One ordered scale; what each step does is configuration."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical; StrEnum would compare by spelling."""
        return _RANKS[self]


_RANKS = {urgency: rank for rank, urgency in enumerate(Urgency)}
DEFAULT_TTL_S = {Urgency.LOW: 120.0, Urgency.NORMAL: 300.0, Urgency.HIGH: 600.0, Urgency.CRITICAL: 1800.0}
"""Seconds within which the first sound must come, by urgency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPolicy:
    """How an alert insists: so many rounds, or until acknowledged, so many seconds apart.

    After `escalate_after` rounds without acknowledgement it goes on to the targets `escalate_to`, too.
    """

    times: int | None = 3
    every_s: float = 30.0
    until_ack: bool = False
    escalate_after: int | None = None
    escalate_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Announcement:
    """One thing to be said, as intake accepted it.

    Exactly one of `text` and `live` is given. `arrived` is monotonic seconds, `ttl` and `not_before`
    are seconds counted from it. What is None comes from the configuration.
    """

    id: str
    target: str
    text: str | None = None
    live: LiveText | None = None
    urgency: Urgency
    received_monotonic: float
    received_at: datetime
    ttl: float
    not_before: float = 0.0
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
        """Monotonic second before which it is not said."""
        return self.received_monotonic + self.not_before

    @property
    def expires(self) -> float:
        """Monotonic second after which a first sound would be stale."""
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
    """Return an announcement of the daemon itself."""
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
