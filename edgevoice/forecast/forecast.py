"""The running forecast of the time to first sound over each transport, learned from every request."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Self

from edgevoice.errors import AccountRefused, TransportError
from edgevoice.forecast.estimate import LatencyEstimator, conditions
from edgevoice.forecast.outlook import ExpectedLatency, LatencyPrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType


class LatencyModel:
    """Learns by `timing`; `now` is a clock in seconds that nobody sets."""

    def __init__(self, now: Callable[[], float] = time.monotonic, *, seed: int = 0) -> None:
        self.now = now
        self.estimates: dict[str, LatencyEstimator] = {}
        self._seed = seed

    def timing(self, transport: str, characters: int | None, *, warm: bool) -> RequestTimer:
        """Times a request that is made now; use as `with`. Without `characters` (live text) it learns nothing."""
        return RequestTimer(self, transport, characters, warm=warm)

    def answered(self, transport: str, characters: int, seconds: float, *, warm: bool) -> None:
        """The first audio of a request came after so many seconds."""
        now = self.now()
        estimate = self._estimate(transport)
        self.estimates[transport] = estimate.answered(conditions(characters, warm=warm), seconds, now)

    def failed(self, transport: str, characters: int, seconds: float, *, warm: bool) -> None:
        """A request failed after so many seconds without audio."""
        now = self.now()
        estimate = self._estimate(transport)
        self.estimates[transport] = estimate.failed(conditions(characters, warm=warm), seconds, now)

    def waited(self, transport: str, characters: int, seconds: float, *, warm: bool) -> None:
        """A request was given up after so many seconds without audio, for no fault of its own.

        It would have taken longer than that, which says something only where it was late already.
        """
        expected = self._estimate(transport).expected(conditions(characters, warm=warm), self.now())
        if seconds > expected:
            self.answered(transport, characters, seconds, warm=warm)

    def late_after(self, transport: str, characters: int, warm: bool) -> float | None:
        """Seconds after which only one answer in twenty came lately; None while it knows too little."""
        estimate = self.estimates.get(transport)
        return None if estimate is None else estimate.late_after(conditions(characters, warm=warm))

    def outlook(self, characters: int, warm: Mapping[str, bool]) -> LatencyPrediction:
        """What is expected of the transports that `warm` names, each warm or not, for such a first request."""
        now = self.now()
        of = {}
        for name, is_warm in warm.items():
            estimate, given = self._estimate(name), conditions(characters, warm=is_warm)
            of[name] = ExpectedLatency(
                seconds=estimate.expected(given, now),
                uncertainty=estimate.uncertainty(given, now),
                requests=estimate.requests,
                known=estimate.is_known,
                warm=is_warm,
            )
        # The same as long as nothing was learned: what `explain` says is what is done.
        seen = sum(estimate.requests for estimate in self.estimates.values())
        draw = random.Random(f"{self._seed} {seen}").random()  # noqa: S311 - which one to try is no secret
        return LatencyPrediction(characters, of, draw)

    def _estimate(self, transport: str) -> LatencyEstimator:
        return self.estimates.get(transport) or LatencyEstimator.of_nothing(self.now())


class RequestTimer:
    """The time from a request to its first audio; leaving without any is a failure, but for being cancelled."""

    def __init__(self, forecast: LatencyModel, transport: str, characters: int | None, *, warm: bool) -> None:
        self._forecast = forecast
        self._transport = transport
        self._characters = characters
        self._warm = warm

    def __enter__(self) -> Self:
        self._began = self._forecast.now()
        return self

    def sounds(self) -> None:
        """Audio came; only the first counts."""
        self._end(self._forecast.answered)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._end(self._forecast.waited)
        # A refused account is refused over every transport alike, and a full disk is none's fault.
        elif error is None or (isinstance(error, TransportError) and not isinstance(error, AccountRefused)):
            self._end(self._forecast.failed)

    def _end(self, learn: Callable[..., None]) -> None:
        if self._characters is not None:
            took = self._forecast.now() - self._began
            learn(self._transport, self._characters, took, warm=self._warm)
            self._characters = None
