"""The rate limiter: which announcements are too many, and how many were suppressed.

It is asked only for what would really be queued (see `edgevoice.scheduler.scheduler.Scheduler.admission`),
so that duplicates and repeats of what is playing cost nothing, and never across urgencies:

- A text that is new on its topic and tag takes a token of these (`per_topic`); a text that repeats takes
  tokens of its own, so that one repeating message does not silence the others of its topic.
- All of one urgency together take tokens of `total`.
- Critical announcements are admitted up to 60 a minute in all, whatever they are; beyond that each text of
  a topic and tag has its own `critical` rate, so that a chattering sensor cannot silence another alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.token_bucket import Rate, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Hashable

    from edgevoice.announcement import Announcement

#: Topics, and texts, that are remembered.
MAX_TRACKED = 1000
#: Seconds without a suppressed announcement after which a burst is over.
CALM_S = 10.0
#: Seconds after which a burst that goes on is reported all the same.
MAX_BURST_S = 60.0
#: Critical announcements that are admitted in any case (contract).
CRITICAL_GUARANTEE = Rate(60, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Rates of a topic, in total, and of critical announcements. None disables a limit."""

    per_topic: Rate | None = None
    total: Rate | None = None
    critical: Rate | None = None


@dataclass(frozen=True, slots=True)
class SuppressedBurst:
    """A number of announcements of a topic, meant for a target, were suppressed."""

    topic: str
    target: str
    count: int


@dataclass(slots=True)
class _Burst:
    target: str
    count: int
    began: float
    last: float

    @property
    def over_at(self) -> float:
        return min(self.last + CALM_S, self.began + MAX_BURST_S)


@dataclass(slots=True)
class _Buckets:
    """The buckets of one rate by key; those that are full again are forgotten first."""

    rate: Rate | None
    _by_key: dict[Hashable, TokenBucket] = field(default_factory=dict)

    def is_known(self, key: Hashable, now: float) -> bool:
        """Return whether tokens were taken from it that have not come back yet."""
        bucket = self._by_key.get(key)
        return bucket is not None and bucket.seconds_until_full(now) > 0

    def of(self, key: Hashable, now: float) -> list[TokenBucket]:
        """Return the bucket of a key, or none where the rate is not limited."""
        if self.rate is None:
            return []
        if key not in self._by_key and len(self._by_key) >= MAX_TRACKED:
            full = [known for known in self._by_key if not self.is_known(known, now)]
            for known in full or [next(iter(self._by_key))]:
                del self._by_key[known]
        return [self._by_key.setdefault(key, TokenBucket(self.rate, now))]

    def __len__(self) -> int:
        return len(self._by_key)


class RateLimiter:
    """The rate limits of one node; times are monotonic seconds."""

    def __init__(self, limits: RateLimits) -> None:
        self._topics = _Buckets(limits.per_topic)
        self._texts = _Buckets(limits.per_topic)
        self._total = _Buckets(limits.total)
        self._critical_texts = _Buckets(limits.critical)
        self._guarantee = _Buckets(CRITICAL_GUARANTEE)
        self._bursts: dict[str, _Burst] = {}

    def try_acquire(self, announcement: Announcement, topic: str, now: float) -> bool:
        """Return whether an announcement may be queued; count a refused announcement as suppressed."""
        buckets = self._buckets_for(announcement, topic, now)
        if all(bucket.can_take(now) for bucket in buckets):
            for bucket in buckets:
                bucket.take(now)
            return True
        if topic not in self._bursts and len(self._bursts) >= MAX_TRACKED:
            del self._bursts[next(iter(self._bursts))]
        burst = self._bursts.setdefault(topic, _Burst(announcement.target, 0, now, now))
        burst.count += 1
        burst.last, burst.target = now, announcement.target
        return False

    def would_allow(self, announcement: Announcement, topic: str, now: float) -> bool:
        """Return whether an announcement could be queued now; nothing is counted."""
        return all(bucket.can_take(now) for bucket in self._buckets_for(announcement, topic, now))

    def finished_bursts(self, now: float) -> list[SuppressedBurst]:
        """Return the bursts that are over, or have lasted so long that they are reported; each once."""
        over = [topic for topic, burst in self._bursts.items() if burst.over_at <= now]
        bursts = [(topic, self._bursts.pop(topic)) for topic in over]
        return [SuppressedBurst(topic, burst.target, burst.count) for topic, burst in bursts]

    def next_wakeup(self, now: float) -> float | None:
        """Return the seconds until a burst may be over; None without one."""
        waits = [burst.over_at - now for burst in self._bursts.values()]
        return max(0.0, min(waits)) if waits else None

    def _buckets_for(self, announcement: Announcement, topic: str, now: float) -> list[TokenBucket]:
        urgency, source = announcement.urgency, (topic, announcement.tag)
        text = (*source, announcement.text, urgency)
        if urgency is Urgency.CRITICAL:
            guarantee = self._guarantee.of(urgency, now)
            if all(bucket.can_take(now) for bucket in guarantee):
                return guarantee
            return self._critical_texts.of(text, now)
        buckets = self._texts.of(text, now) if self._texts.is_known(text, now) else None
        if buckets is None:
            buckets = [*self._topics.of((*source, urgency), now), *self._texts.of(text, now)]
        return [*buckets, *self._total.of(urgency, now)]
