"""What is known of one transport: an estimate of its time to first sound, and how far it can be trusted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterable

Seconds = Annotated[float, Meta(ge=-86_400, le=86_400)]
Vector = tuple[Seconds, Seconds, Seconds]
"""What belongs to a request as such, to a cold connection, and to 100 characters."""
Matrix = tuple[Vector, Vector, Vector]

ENOUGH = 2
"""Requests after which a transport is known."""
KNOWN_LATE = 20
"""Answers after which the latest of them can be told from the usual ones."""
LATE = 0.95
"""The share of answers that is not late."""
RATIOS = 40
"""Answers whose scatter is remembered."""
SURPRISE = 3.0
"""Standard deviations beyond which an answer is believed no further."""
SURPRISES = 2
"""So many such answers in a row, and the next one is believed whatever it says."""
HALVED_EVERY = 900.0
"""Seconds in which half of what failures are held against a transport is forgotten."""

AGED = 5400.0
"""Seconds without a request after which a transport may have become twice as quick, or half."""

_LIKELY: Vector = (0.3, 0.1, 0.1)
_SCATTER: Vector = (0.5, 0.3, 0.3)
_DRIFT: Vector = (0.2, 0.1, 0.1)
"""The part by which each may have changed in an hour; it grows with the root of the time."""
_RESTLESS = 0.03
"""The part by which the first may have changed from one request to the next."""
_LONGEST = 4.0
"""Hours after which it does not grow any more."""
_USUAL_NOISE, _LEAST_NOISE = 0.2, 0.03
_GRAIN = 0.002
_TO_NORMAL = 1.48
"""The standard deviation of a normal scatter, over its median absolute deviation."""


def conditions(characters: int, *, warm: bool) -> Vector:
    """What a request's time to first sound depends on."""
    return (1.0, 0.0 if warm else 1.0, characters / 100)


class LatencyEstimator(msgspec.Struct, frozen=True):
    """The time to first sound in seconds is `mean` times the conditions, learned by a Kalman filter.

    Each of the three may drift, so what was measured long ago counts less than what was lately. `doubt` is
    the covariance of `mean`, `at` when it was last changed, `requests` how many it has seen, `ratios` what
    was measured over what was expected, and `held_against` the seconds that failures add.
    """

    at: float
    mean: Vector
    doubt: Matrix
    requests: Annotated[int, Meta(ge=0)] = 0
    surprises: Annotated[int, Meta(ge=0)] = 0
    ratios: Annotated[tuple[Annotated[float, Meta(ge=0, le=1e6)], ...], Meta(max_length=RATIOS)] = ()
    held_against: Annotated[float, Meta(ge=0, le=3600)] = 0.0

    @classmethod
    def of_nothing(cls, now: float) -> LatencyEstimator:
        """What is assumed before anything was measured."""
        a, b, c = (scatter * scatter for scatter in _SCATTER)
        return cls(now, _LIKELY, ((a, 0.0, 0.0), (0.0, b, 0.0), (0.0, 0.0, c)))

    @property
    def is_known(self) -> bool:
        """Whether there is enough to go by; what does not agree with itself needs more."""
        agrees = not self.ratios or 0.5 < self.ratios[-1] < 2
        return self.requests >= ENOUGH * (1 if agrees else 2)

    def expected(self, given: Vector, now: float) -> float:
        """Seconds to the first sound that are to be expected; what failures cost included."""
        return self._answer(given) + self._held_against(now)

    def uncertainty(self, given: Vector, now: float) -> float:
        """The standard deviation of what is expected, in seconds; it grows while nothing is measured."""
        aged = self.mean[0] * (1 - math.exp2(-max(0.0, now - self.at) / AGED))
        return math.sqrt(_spread(_drifted(self, now), given) + aged**2)

    def late_after(self, given: Vector) -> float | None:
        """Seconds after which only one in twenty answers came; None as long as too few came at all."""
        if len(self.ratios) < KNOWN_LATE:
            return None
        return self._answer(given) * sorted(self.ratios)[math.ceil(len(self.ratios) * LATE) - 1]

    def answered(self, given: Vector, seconds: float, now: float) -> LatencyEstimator:
        """What is known after one more answer."""
        answer = self._answer(given)
        doubt = _drifted(self, now, requests=1)
        noise = (self._noise * answer) ** 2 + _GRAIN**2
        error = seconds - answer
        believed = SURPRISE * math.sqrt(_spread(doubt, given) + noise)
        mean, narrowed = _filtered(self.mean, doubt, given, max(-believed, min(error, believed)), noise)
        surprises = self.surprises + 1 if abs(error) > believed else 0
        if surprises >= SURPRISES:
            narrowed = _doubted(narrowed, given, error)
        return LatencyEstimator(
            at=now,
            mean=mean,
            doubt=narrowed,
            requests=self.requests + 1,
            surprises=surprises,
            ratios=(*self.ratios, min(seconds / answer, 1e6))[-RATIOS:],
            held_against=self._held_against(now) / 2,
        )

    def failed(self, given: Vector, lost: float, now: float) -> LatencyEstimator:
        """What is known after a failure: the next transport has taken about as long again."""
        more = lost + self._answer(given)
        return msgspec.structs.replace(
            self,
            at=now,
            doubt=_drifted(self, now),
            requests=self.requests + 1,
            held_against=min(self._held_against(now) + more, 3600.0),
        )

    def moved(self, by: float) -> LatencyEstimator:
        """The same on a clock that shows `by` seconds more."""
        return msgspec.structs.replace(self, at=self.at + by)

    def _answer(self, given: Vector) -> float:
        return max(0.001, _product(self.mean, given))

    def _held_against(self, now: float) -> float:
        return self.held_against * math.exp2(-max(0.0, now - self.at) / HALVED_EVERY)

    @property
    def _noise(self) -> float:
        """The usual scatter of the answers, as a part of what was expected; outliers don't count."""
        count = len(self.ratios)
        # Around their own middle: what all of them are off by is no scatter.
        middle = _median(self.ratios)
        seen = _TO_NORMAL * _median(abs(ratio - middle) for ratio in self.ratios)
        return max(_LEAST_NOISE, (seen * count + _USUAL_NOISE * ENOUGH) / (count + ENOUGH))


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


def _drifted(estimate: LatencyEstimator, now: float, requests: int = 0) -> Matrix:
    """The doubt by now, at most that of knowing nothing."""
    hours = min(max(0.0, now - estimate.at) / 3600, _LONGEST)
    grown = [list(row) for row in estimate.doubt]
    for index, part in enumerate(_DRIFT):
        grown[index][index] += hours * (part * max(estimate.mean[index], 0.01)) ** 2
    grown[0][0] += requests * (_RESTLESS * estimate.mean[0]) ** 2
    most = [max(scatter, mean) for scatter, mean in zip(_SCATTER, estimate.mean, strict=True)]
    # Rows and columns alike, so that it stays a covariance.
    shrink = [min(1.0, limit / math.sqrt(max(grown[i][i], 1e-12))) for i, limit in enumerate(most)]
    return _matrix([[grown[i][j] * shrink[i] * shrink[j] for j in range(3)] for i in range(3)])


def _doubted(doubt: Matrix, given: Vector, error: float) -> Matrix:
    """The doubt after an answer that was not believed: each of what it depends on may have caused it."""
    grown = [list(row) for row in doubt]
    for index, weight in enumerate(given):
        grown[index][index] += (2 * error * weight / (1 + weight * weight)) ** 2
    return _matrix(grown)


def _filtered(
    mean: Vector, doubt: Matrix, given: Vector, error: float, noise: float
) -> tuple[Vector, Matrix]:
    """Mean and covariance after one measurement, by the equations of Kalman; no part is less than nothing."""
    along = [_product(row, given) for row in doubt]
    gain = [value / (_product(given, (along[0], along[1], along[2])) + noise) for value in along]
    new = [max(0.0, value + share * error) for value, share in zip(mean, gain, strict=True)]
    rows = [[doubt[i][j] - gain[i] * along[j] for j in range(3)] for i in range(3)]
    return (new[0], new[1], new[2]), _matrix(rows)


def _spread(doubt: Matrix, given: Vector) -> float:
    """The variance of what is expected."""
    along = [_product(row, given) for row in doubt]
    return max(0.0, _product(given, (along[0], along[1], along[2])))


def _product(left: Vector, right: Vector) -> float:
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]


def _matrix(rows: list[list[float]]) -> Matrix:
    return (
        (rows[0][0], rows[0][1], rows[0][2]),
        (rows[1][0], rows[1][1], rows[1][2]),
        (rows[2][0], rows[2][1], rows[2][2]),
    )
