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

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.config.options import PerMinute

if TYPE_CHECKING:
    from collections.abc import Hashable

    from edgevoice.announcement import Announcement
    from edgevoice.config.options import Limits

#: Topics, and texts, that are remembered.
MAX_TRACKED = 1000
#: Seconds without a suppressed announcement after which a burst is over.
CALM_S = 10.0
#: Seconds after which a burst that goes on is reported all the same.
MAX_BURST_S = 60.0
#: Critical announcements that are admitted in any case (docs/guides/urgency.md).
CRITICAL_GUARANTEE = PerMinute(per_minute=60, burst=60)


@dataclass(slots=True)
class SuppressedBurst:
    """A number of announcements of a topic were suppressed; times are monotonic seconds."""

    topic: str
    #: The target of the last one.
    target: str
    began: float
    last: float
    count: int = 0

    @property
    def over_at(self) -> float:
        return min(self.last + CALM_S, self.began + MAX_BURST_S)


class TokenBuckets:
    """The token buckets of one rate, by key. A rate of False is no limit. Times are monotonic seconds."""

    def __init__(self, rate: PerMinute | bool) -> None:
        self._rate = rate if isinstance(rate, PerMinute) else None
        #: When each bucket is full again (the generic cell rate algorithm). The first is the oldest.
        self._full_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def is_full(self, key: Hashable, now: float) -> bool:
        return self._full_at.get(key, now) <= now

    def can_take(self, key: Hashable, now: float) -> bool:
        """Return whether the bucket of a key has a token."""
        if self._rate is None:
            return True
        missing = (self._full_at.get(key, now) - now) * self._rate.per_minute / 60
        # A thousandth of a token covers what the sum of many times is inexact by.
        return missing <= self._rate.burst - 0.999

    def take(self, key: Hashable, now: float) -> None:
        """Take a token, which must be there."""
        if self._rate is None:
            return
        if key not in self._full_at and len(self._full_at) >= MAX_TRACKED:
            full = [known for known in self._full_at if self.is_full(known, now)]
            for known in full or [next(iter(self._full_at))]:
                del self._full_at[known]
        self._full_at[key] = max(now, self._full_at.get(key, now)) + 60 / self._rate.per_minute


class RateLimiter:
    """The rate limits of one node; times are monotonic seconds."""

    def __init__(self, limits: Limits) -> None:
        self._topics = TokenBuckets(limits.per_topic)
        self._texts = TokenBuckets(limits.per_topic)
        self._total = TokenBuckets(limits.total)
        self._critical_texts = TokenBuckets(limits.critical)
        self._guarantee = TokenBuckets(CRITICAL_GUARANTEE)
        self._bursts: dict[str, SuppressedBurst] = {}

    def try_acquire(self, announcement: Announcement, topic: str, now: float) -> bool:
        """Return whether an announcement may be queued; count a refused announcement as suppressed."""
        costs = self._costs(announcement, topic, now)
        if all(buckets.can_take(key, now) for buckets, key in costs):
            for buckets, key in costs:
                buckets.take(key, now)
            return True
        if topic not in self._bursts and len(self._bursts) >= MAX_TRACKED:
            del self._bursts[next(iter(self._bursts))]
        burst = self._bursts.setdefault(topic, SuppressedBurst(topic, announcement.target, now, now))
        burst.count += 1
        burst.last, burst.target = now, announcement.target
        return False

    def would_allow(self, announcement: Announcement, topic: str, now: float) -> bool:
        """Return whether an announcement could be queued now; nothing is counted."""
        return all(buckets.can_take(key, now) for buckets, key in self._costs(announcement, topic, now))

    def finished_bursts(self, now: float) -> list[SuppressedBurst]:
        """Return the bursts that are over, or have lasted so long that they are reported; each once."""
        over = [burst for burst in self._bursts.values() if burst.over_at <= now]
        for burst in over:
            del self._bursts[burst.topic]
        return over

    def next_wakeup(self, now: float) -> float | None:
        """Return the seconds until a burst may be over; None without one."""
        over_at = min((burst.over_at for burst in self._bursts.values()), default=None)
        return None if over_at is None else max(0.0, over_at - now)

    def _costs(
        self, announcement: Announcement, topic: str, now: float
    ) -> list[tuple[TokenBuckets, Hashable]]:
        """Return the buckets that an announcement takes a token of."""
        urgency, source = announcement.urgency, (topic, announcement.tag)
        text = (*source, announcement.text, urgency)
        if urgency is Urgency.CRITICAL:
            if self._guarantee.can_take(urgency, now):
                return [(self._guarantee, urgency)]
            return [(self._critical_texts, text)]
        costs: list[tuple[TokenBuckets, Hashable]] = [(self._texts, text), (self._total, urgency)]
        if self._texts.is_full(text, now):  # the text is new, or has not come for long
            costs.append((self._topics, (*source, urgency)))
        return costs
