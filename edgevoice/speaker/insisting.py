"""When an alert that insists has its next round, and when it ends by itself: pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevoice.announcement import RepeatPolicy

LONGEST = 3600.0
"""Seconds after its first sound for which an alert insists at most until it is acknowledged."""
SHORTEST_GAP = 5.0


@dataclass(frozen=True, slots=True)
class Escalation:
    """How an alert grows more insistent: each gap is so many times the one before, each round so much louder."""

    gap: float = 1.0
    volume: int = 0


def next_gap(insists: RepeatPolicy, rounds: int, since_first: float, growth: Escalation) -> float | None:
    """Seconds to the next round after so many, `since_first` seconds after the first; None if that was all."""
    gap = max(SHORTEST_GAP, insists.every_s * growth.gap ** (rounds - 1))
    if insists.until_ack:
        return gap if since_first + gap <= LONGEST else None
    return gap if rounds < (insists.times or 1) else None


def volume_boost(rounds: int, growth: Escalation) -> int:
    """By how many per cent a round is louder than the first."""
    return growth.volume * (rounds - 1)
