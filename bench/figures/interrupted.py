"""Speech that was interrupted, held against players computed from the server's own times."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.figures.sounds import Silence, played
from bench.figures.statistics import Figure, figure, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A silence counts as at least this long where a figure is divided by it.
LEAST_S = 0.001


@dataclass(frozen=True)
class Interrupted:
    """The silence of a message, its time from the first chunk to the first sound, and the arrival of each chunk.

    `stall` is how long a stall of the server takes, 0 where there are none; all in seconds.
    """

    heard: Silence
    start: float
    chunks: tuple[tuple[float, float], ...]
    stall: float = 0.0

    @property
    def stalls(self) -> int:
        """Return how often the server stalled: a chunk came at least this much later than the chunk before."""
        if not self.stall:
            return 0
        moments = [moment for moment, _ in self.chunks]
        pairs = itertools.pairwise(moments)
        return sum(after - before > 0.75 * self.stall for before, after in pairs)

    def computed(self, *, fixed: bool) -> Silence:
        """Return the silence for a player that starts at once or, if `fixed`, at the moment this player did."""
        return played(self.chunks, self.start if fixed else 0.0)


def share(messages: Sequence[Interrupted], *, fixed: bool) -> Figure:
    """All silence over all that the computed player has; as p95, the same of the 95th percentiles."""
    if not messages:
        return Figure(0.0, 0.0, 0)
    own = [message.heard.seconds for message in messages]
    other = [message.computed(fixed=fixed).seconds for message in messages]
    total = max(sum(own), 0.0) / max(sum(other), LEAST_S)
    worst = quantile(own, 0.95) / max(quantile(other, 0.95), LEAST_S)
    return Figure(round(total, 3), round(worst, 3), len(messages))


def later(messages: Sequence[Interrupted]) -> Figure:
    """Milliseconds from the first chunk to the first sound."""
    return figure([message.start * 1000 for message in messages]) or Figure(0.0, 0.0, 0)


def most_holes_beyond_stalls(messages: Sequence[Interrupted]) -> int:
    """By how many the holes of one message outnumber its stalls, at most."""
    return max((message.heard.holes - message.stalls for message in messages), default=0)
