"""Trying again what failed: later each time, and not when everybody else does."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DELAY, LONGEST_DELAY = 0.5, 60.0
"""Seconds before the first new try; doubled each time."""


class Backoff:
    """Calls `again` later, unless that is cancelled; one at a time."""

    def __init__(self, again: Callable[[], None]) -> None:
        self._again = again
        self._delay = FIRST_DELAY
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_first(self) -> bool:
        """Whether nothing failed since all was well."""
        return self._delay == FIRST_DELAY

    @property
    def is_pending(self) -> bool:
        return self._timer is not None

    def later(self) -> None:
        """It failed."""
        if self._timer is None:
            delay = self._delay * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
            self._delay = min(self._delay * 2, LONGEST_DELAY)
            self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def reset(self) -> None:
        """All is well."""
        self._delay = FIRST_DELAY

    def cancel(self) -> None:
        """It is tried now, or never."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._again()
