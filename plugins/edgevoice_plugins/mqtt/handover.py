"""What a thread tells the event loop: in order, and with one wake-up for all that comes in a burst."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Handover:
    """Made in the loop that is to be told; one thing in each of its rounds, so that nothing else waits for many."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._told: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        """While it holds anything, the loop is about to take the first."""

    def tell(self, what: Callable[..., None], *values: object) -> None:
        """Have `what` called in the loop; from any thread."""
        with self._lock:
            self._told.append((what, values))
            if len(self._told) > 1:
                return
        # The loop is closed when the process ends; nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        what, values = self._told[0]
        try:
            what(*values)
        finally:
            with self._lock:
                self._told.popleft()
                if self._told:
                    self._loop.call_soon(self._take)
