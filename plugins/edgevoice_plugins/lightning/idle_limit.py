"""How long a server keeps a connection on which nothing happens, learned from those that it closed."""

from __future__ import annotations

EARLY = 0.8
"""The part of the limit after which a connection is renewed."""
REMEMBERED = 3600.0
"""Seconds that a limit is believed: what looked like one may have been a bad day of the network."""


class IdleLimit:
    """The limits for connections that were used and for fresh ones: servers have one for each, or the same.

    One end may be chance. Two after about the same time, of whichever kind, are a limit for the kinds they
    are of. Times are of a monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._ended: tuple[bool, float] | None = None
        self._limits: dict[bool, tuple[float, float]] = {}

    def ended(self, after: float, *, used: bool, now: float) -> None:
        """The server ended a connection that had been idle for `after` seconds."""
        if self._ended is not None:
            earlier_used, earlier = self._ended
            if abs(after - earlier) <= 0.1 + 0.1 * after:
                shorter = min(after, earlier)
                self._limits[used] = self._limits[earlier_used] = (shorter, now)
        self._ended = used, after

    def renewal(self, *, used: bool, now: float) -> float | None:
        """Seconds after which an idle connection has to be renewed; None as long as no limit is known."""
        limit, learned = self._limits.get(used, (0.0, 0.0))
        return limit * EARLY if limit and now - learned <= REMEMBERED else None
