"""How many requests at once the account allows, as far as its refusals have shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable

RELEARN = 3600.0
"""Seconds without a refusal after which one request more is tried at once."""
LONGEST_REST = 30.0
"""Seconds for which a transport is left alone at most, however long its server says."""


class AdaptiveLimit:
    """Begins with what is configured; times are monotonic seconds. `fault` is told what is set too high."""

    def __init__(self, configured: int, fault: Callable[[str | None], None]) -> None:
        self._configured = self._places = configured
        self._fault = fault
        self._changed = 0.0
        self._learned = False
        self._rests: dict[str, float] = {}

    def places(self, now: float) -> int:
        """Requests that may be in flight at once."""
        if self._learned and now >= self._changed + RELEARN:
            self._changed = now
            if self._places < self._configured:
                self._places += 1
            else:
                self._learned = False
                self._fault(None)
        return self._places

    def raise_if_backing_off(self, transport: str, now: float) -> None:
        """See that a transport may be asked.

        Raises:
            TooManyRequests: its server wants to be left alone for a while.
        """
        if (left := self._rests.get(transport, 0.0) - now) > 0:
            raise TooManyRequests(f"not asked: the server wants to be left alone for {left:.0f} s more", left)

    def back_off(self, transport: str, seconds: float, now: float) -> None:
        """The server wants no request over this transport for so many seconds."""
        self._rests[transport] = now + min(seconds, LONGEST_REST)

    def on_rejected(self, beside: int, now: float) -> None:
        """A request was too many, with so many others of ours in flight beside it."""
        self._places = min(self._places, beside)
        self._changed, self._learned = now, True
        requests = "1 request" if self._places == 1 else f"{self._places} requests"
        self._fault(
            f"it is {self._configured}, but the account allows {requests} at once; "
            f"set lightning: {{concurrency: {self._places}}}"
        )
