"""Exponential backoff with jitter: how long to wait before trying again what has failed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Backoff:
    """The delays between attempts: each `factor` times the last, up to `max_s`.

    Each delay is spread by up to `jitter` of itself, so that clients that failed together do not all
    come back at the same moment. The class keeps no clock and no timer: the caller sleeps.

        backoff = Backoff(1.0, 60.0)
        while not await connect():
            await asyncio.sleep(backoff.next_delay_s())
        backoff.reset()
    """

    def __init__(
        self,
        first_s: float,
        max_s: float,
        *,
        factor: float = 2.0,
        jitter: float = 0.25,
        rng: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._factor = factor
        self._jitter = jitter
        self._rng = rng
        self._next_s = first_s
        #: Delays given since the last `reset`.
        self.failures = 0

    def next_delay_s(self) -> float:
        """Return the seconds to wait now, and make the next delay longer."""
        delay_s = self._next_s * self._rng(1 - self._jitter, 1 + self._jitter)
        self._next_s = min(self._next_s * self._factor, self._max_s)
        self.failures += 1
        return delay_s

    def reset(self) -> None:
        """Begin with the first delay again: the last attempt succeeded."""
        self._next_s = self._first_s
        self.failures = 0
