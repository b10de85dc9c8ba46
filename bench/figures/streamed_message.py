"""Silence inside one streamed message, compared with simulated players that got the same chunks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.figures.sounds import Silence, simulate_player
from bench.figures.statistics import Figure, figure, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A silence counts as at least this long where a figure is divided by it.
MIN_SILENCE_S = 0.001


@dataclass(frozen=True)
class StreamedMessage:
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
        return simulate_player(self.chunks, self.start if fixed else 0.0)


def silence_ratio(messages: Sequence[StreamedMessage], *, fixed: bool) -> Figure:
    """Return the total silence divided by that of the simulated player; as p95, the ratio of the 95th percentiles."""
    if not messages:
        return Figure(0.0, 0.0, 0)
    own = [message.heard.seconds for message in messages]
    other = [message.computed(fixed=fixed).seconds for message in messages]
    total = max(sum(own), 0.0) / max(sum(other), MIN_SILENCE_S)
    worst = quantile(own, 0.95) / max(quantile(other, 0.95), MIN_SILENCE_S)
    return Figure(round(total, 3), round(worst, 3), len(messages))


def start_delay_ms(messages: Sequence[StreamedMessage]) -> Figure:
    """Return the milliseconds from the first chunk to the first sound."""
    return figure([message.start * 1000 for message in messages]) or Figure(0.0, 0.0, 0)


def max_holes_beyond_stalls(messages: Sequence[StreamedMessage]) -> int:
    """Return the largest number of holes in one message beyond the stalls of its server."""
    return max((message.heard.holes - message.stalls for message in messages), default=0)
