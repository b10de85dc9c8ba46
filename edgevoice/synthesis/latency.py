"""Latency model: the time to first audio of each transport, from its last requests. See docs/decisions/latency-model.md.

Each transport has a ring of samples for warm and one for cold connections, and a line through each (Theil-Sen).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median, quantiles
from typing import TYPE_CHECKING

import msgspec

from edgevoice.errors import AccountRefused, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Samples of a ring, and requests after which a transport counts as measured.
RING, ENOUGH = 20, 3
#: The path has changed if this many samples in a row are further off the older ones than this ratio.
SHIFT_SAMPLES, SHIFT_RATIO = 3, 1.4
#: Characters by which two texts must differ to tell a slope, and pairs of them that are needed.
SLOPE_CHARACTERS, SLOPE_PAIRS = 10, 6
#: Assumed seconds without any sample, and to open a connection.
UNKNOWN_S, COLD_S = 0.3, 0.1
#: Seconds in which a transport may have become twice as fast, and after which one sample can show it.
AGE_S, STALE_S = 3600.0, 1800.0
#: Seconds in which half of the penalty for failures is forgotten, and after which samples tell nothing.
PENALTY_S, MAX_AGE_S = 900.0, 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class ExpectedLatency:
    """Seconds to the first audio over one transport; `at_best_s` is the least that is still credible."""

    seconds: float = UNKNOWN_S
    at_best_s: float = 0.0
    requests: int = 0
    warm: bool = True


@dataclass(frozen=True, slots=True)
class LatencyPrediction:
    """The estimate of each transport for a first request of `characters`; see `route_guard` for `guard_s`."""

    characters: int = 0
    of: Mapping[str, ExpectedLatency] = field(default_factory=dict)
    draw: float = 1.0
    guard_s: float | None = None

    def __getitem__(self, name: str) -> ExpectedLatency:
        return self.of.get(name) or ExpectedLatency()


#: Characters of the text, and seconds to the first audio.
Sample = tuple[int, float]


class SavedLatency(msgspec.Struct, frozen=True):
    """The samples of one transport as they are stored; `at` is the UTC time of the last one in seconds."""

    at: float
    warm: list[Sample]
    cold: list[Sample]


class _Ring:
    """The last samples and the line through them. The last `news` may show that the others are outdated."""

    def __init__(self, samples: Sequence[Sample] = (), at: float = 0.0, news: int = SHIFT_SAMPLES) -> None:
        self.at, self.samples = at, list(samples)[-RING:]
        self.has_shifted, self._slope = False, 0.0
        old, new = self.samples[:-news], self.samples[-news:]
        if len(old) >= SHIFT_SAMPLES:
            self._fit(old)
            ratios = [seconds / self.seconds(size) for size, seconds in new]
            is_slower = min(ratios) > SHIFT_RATIO and news > 1  # a single slow answer may be an outlier
            self.has_shifted = is_slower or max(ratios) < 1 / SHIFT_RATIO
        self.samples = new if self.has_shifted else self.samples
        self._fit(self.samples)

    def seconds(self, characters: int) -> float:
        return max(0.001, self._offset + self._slope * characters)

    def _fit(self, samples: Sequence[Sample]) -> None:
        pairs = [(a, b) for a, b in combinations(samples, 2) if abs(b[0] - a[0]) >= SLOPE_CHARACTERS]
        if len(pairs) >= SLOPE_PAIRS:  # else the slope from before the change still holds
            self._slope = max(0.0, median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs))
        self._offset = median([seconds - self._slope * size for size, seconds in samples] or [UNKNOWN_S])


_NO_SAMPLES = _Ring()


class LatencyModel:
    """Learns from every request. `save` takes the samples of a transport, which a later run gets as `saved`."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        *,
        seed: int = 0,
        saved: Mapping[str, object] | None = None,
        save: Callable[[str, SavedLatency], None] = lambda _name, _value: None,
    ) -> None:
        self._now, self._seed, self._save = now, seed, save
        self._rings: dict[tuple[str, bool], _Ring] = {}
        self._requests: Counter[str] = Counter()
        self._penalties: dict[str, tuple[float, float]] = {}
        for name, value in (saved or {}).items():
            with suppress(msgspec.ValidationError):  # of another version
                old = msgspec.convert(value, SavedLatency)
                age_s = max(0.0, time.time() - old.at)  # a wall clock that was set back tells no age
                for samples, warm in ((old.warm, True), (old.cold, False)):
                    if samples and age_s < MAX_AGE_S:
                        self._rings[name, warm] = _Ring(samples, now() - age_s)
                        self._requests[name] += len(samples)

    @contextmanager
    def timed(self, name: str, characters: int | None, *, warm: bool) -> Iterator[Callable[[], None]]:
        """Time a request to the call of what this yields; without `characters` (live text) learn nothing."""
        began, left = self._now(), [] if characters is None else [characters]

        def learn(how: Callable[..., None]) -> None:
            if left:
                how(name, left.pop(), self._now() - began, warm=warm)

        try:
            yield lambda: learn(self.answered)
            learn(self.failed)
        except BaseException as error:
            if not isinstance(error, Exception):
                learn(self.cancelled)
            # A refused account is refused over every transport, and a full disk is no transport's fault.
            elif isinstance(error, TransportError) and not isinstance(error, AccountRefused):
                learn(self.failed)
            raise

    def answered(self, name: str, characters: int, seconds: float, *, warm: bool) -> None:
        """Learn that the first audio of a request came after `seconds`."""
        old, now = self._rings.get((name, warm), _NO_SAMPLES), self._now()
        news = 1 if now - old.at > STALE_S else SHIFT_SAMPLES
        ring = self._rings[name, warm] = _Ring([*old.samples, (characters, seconds)], now, news)
        if ring.has_shifted:
            self._rings.pop((name, not warm), None)
        self._count(name, self._penalty_s(name) / 2)
        rings = (self._rings.get((name, kind), _NO_SAMPLES).samples for kind in (True, False))
        self._save(name, SavedLatency(time.time(), *rings))

    def failed(self, name: str, characters: int, seconds: float, *, warm: bool) -> None:
        """Learn that a request failed after `seconds`: the next transport will have taken as long again."""
        self._count(name, self._penalty_s(name) + seconds + self._seconds(name, characters, warm=warm))

    def cancelled(self, name: str, characters: int, seconds: float, *, warm: bool) -> None:
        """Learn from a request that was cancelled after `seconds`, if it was late by then."""
        if seconds > self._seconds(name, characters, warm=warm):
            self.answered(name, characters, seconds, warm=warm)

    def late_after(self, name: str, characters: int, *, warm: bool) -> float | None:
        """Return the seconds that one answer in twenty exceeded lately; None with fewer than 20 answers."""
        rings = [self._rings[key] for key in ((name, True), (name, False)) if key in self._rings]
        ratios = [seconds / ring.seconds(size) for ring in rings for size, seconds in ring.samples]
        p95 = quantiles(ratios, n=20)[-1] if len(ratios) >= RING else None
        return None if p95 is None else self._seconds(name, characters, warm=warm) * p95

    def predict(
        self, characters: int, warm: Mapping[str, bool], guard_s: float | None = None
    ) -> LatencyPrediction:
        """Return what to expect of the transports in `warm`, whose connections are open or not."""
        of = {name: self._expected(name, characters, warm=is_warm) for name, is_warm in warm.items()}
        # The same draw until something is learned: `edgevoice explain` tells what would be done.
        draw = random.Random(f"{self._seed} {self._requests.total()}").random()  # noqa: S311 - no secret
        return LatencyPrediction(characters, of, draw, guard_s)

    def _expected(self, name: str, characters: int, *, warm: bool) -> ExpectedLatency:
        seconds = self._seconds(name, characters, warm=warm) + self._penalty_s(name)
        ring = self._rings.get((name, warm)) or self._rings.get((name, not warm), _NO_SAMPLES)
        age_factor, requests = float(2 ** ((self._now() - ring.at) / AGE_S)), self._requests[name]
        return ExpectedLatency(seconds, seconds / age_factor if requests else 0.0, requests, warm)

    def _seconds(self, name: str, characters: int, *, warm: bool) -> float:
        own, other = self._rings.get((name, warm)), self._rings.get((name, not warm), _NO_SAMPLES)
        if own is None:
            return other.seconds(characters) + (0.0 if warm else COLD_S)
        is_sure = not warm or len(own.samples) >= ENOUGH or not other.samples
        return own.seconds(characters) if is_sure else min(own.seconds(characters), other.seconds(characters))

    def _penalty_s(self, name: str) -> float:
        seconds, at = self._penalties.get(name, (0.0, 0.0))
        return seconds * float(2 ** ((at - self._now()) / PENALTY_S))

    def _count(self, name: str, penalty_s: float) -> None:
        self._penalties[name] = penalty_s, self._now()
        self._requests[name] += 1
