"""Storms: which announcements are too many, and what is said of them afterwards in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.intake.buckets import Rate, TokenBucket

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement

MOST_TOPICS = 1000
CALM = 10.0
"""Seconds without one too many after which a storm is over."""
LONGEST = 60.0
"""Seconds after which a storm that goes on is spoken of all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """How many a topic, all together, and the critical ones may bring; None is as many as they like."""

    per_topic: Rate | None = None
    total: Rate | None = None
    critical: Rate | None = None


@dataclass(slots=True)
class _TopicState:
    bucket: TokenBucket | None
    target: str = ""
    suppressed: int = 0
    began: float = 0.0
    last: float = 0.0

    @property
    def over_at(self) -> float:
        return min(self.last + CALM, self.began + LONGEST)


@dataclass(frozen=True, slots=True)
class SuppressedBurst:
    """So many of a topic, meant for a target, were not said."""

    topic: str
    target: str
    count: int


@dataclass(slots=True)
class RateLimiter:
    """The buckets of this node; times are monotonic seconds."""

    rates: RateLimits
    _topics: dict[str, _TopicState] = field(default_factory=dict)
    _total: TokenBucket | None = None
    _critical: TokenBucket | None = None

    def try_acquire(self, announcement: Announcement, topic: str, now: float) -> bool:
        """Whether it may be said; one that may not is counted."""
        asked = self._asked(announcement, topic, now)
        if all(bucket.can_take(now) for bucket in asked):
            for bucket in asked:
                bucket.take(now)
            return True
        entry = self._entry(topic, now)
        entry.began = entry.began if entry.suppressed else now
        entry.suppressed += 1
        entry.last, entry.target = now, announcement.target
        return False

    def would_allow(self, announcement: Announcement, topic: str, now: float) -> bool:
        """Whether it might be said now; nothing is counted."""
        return all(bucket.can_take(now) for bucket in self._asked(announcement, topic, now))

    def finished_bursts(self, now: float) -> list[SuppressedBurst]:
        """The storms that have calmed down, or lasted so long that they are spoken of; each is given once."""
        calm = []
        for topic, entry in self._topics.items():
            if entry.suppressed and entry.over_at <= now:
                calm.append(SuppressedBurst(topic, entry.target, entry.suppressed))
                entry.suppressed = 0
        return calm

    def next_wakeup(self, now: float) -> float | None:
        """Seconds until a storm may be over; None without one."""
        waits = [entry.over_at - now for entry in self._topics.values() if entry.suppressed]
        return max(0.0, min(waits)) if waits else None

    def _asked(self, announcement: Announcement, topic: str, now: float) -> list[TokenBucket]:
        """The buckets that have to have a token for it."""
        entry = self._entry(topic, now)
        if announcement.urgency is Urgency.CRITICAL:
            critical = self._critical = self._critical or _bucket(self.rates.critical, now)
            return [critical] if critical is not None else []
        total = self._total = self._total or _bucket(self.rates.total, now)
        return [bucket for bucket in (entry.bucket, total) if bucket is not None]

    def _entry(self, topic: str, now: float) -> _TopicState:
        if topic not in self._topics and len(self._topics) >= MOST_TOPICS:
            self._forget(now)
        return self._topics.setdefault(topic, _TopicState(_bucket(self.rates.per_topic, now)))

    def _forget(self, now: float) -> None:
        """Room for another topic: those that have been calm for long go, else the first."""
        calm = [
            name
            for name, entry in self._topics.items()
            if not entry.suppressed and (entry.bucket is None or entry.bucket.seconds_until_full(now) <= 0)
        ]
        for name in calm or [next(iter(self._topics))]:
            del self._topics[name]


def _bucket(rate: Rate | None, now: float) -> TokenBucket | None:
    return None if rate is None else TokenBucket(rate, now)
