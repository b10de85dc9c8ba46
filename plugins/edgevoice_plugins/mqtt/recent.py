"""What was seen lately, so that it is told only once."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1000


class Recent:
    """Names that were noted within the last `seconds`, the latest of them."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._seen: dict[str, float] = {}

    def note(self, name: str) -> bool:
        """Note it; whether it is news."""
        now = self._clock()
        news = now - self._seen.pop(name, -math.inf) >= self._seconds
        self._seen[name] = now
        if len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]
        return news
