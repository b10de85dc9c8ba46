"""Token buckets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of events per minute on average, and at once."""

    per_minute: float
    burst: int


class TokenBucket:
    """The tokens of one rate; times are monotonic seconds."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._filled = now

    def can_take(self, now: float, tokens: int = 1) -> bool:
        self._fill(now)
        return self._tokens >= tokens

    def take(self, now: float, tokens: int = 1) -> None:
        """Use tokens, which must be there."""
        self._fill(now)
        self._tokens -= tokens

    def seconds_until_full(self, now: float) -> float:
        self._fill(now)
        return (self._rate.burst - self._tokens) * 60 / self._rate.per_minute

    def _fill(self, now: float) -> None:
        gained = (now - self._filled) * self._rate.per_minute / 60
        self._tokens = min(float(self._rate.burst), self._tokens + gained)
        self._filled = now
