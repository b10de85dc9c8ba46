"""How fast voices read, as learned from what they have read: for telling how far a speech had come."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

DIGIT = 4
"""Letters that a digit is read as, roughly: 2026 is twenty twenty-six."""
WIDE = 3
"""Letters that a character of a script without an alphabet is read as, roughly."""
_WIDE_FROM = "\u2e80"
SPREAD = 0.55, 1.35
"""What one sentence's pace may be of the voice's mean: the slowest and the fastest."""
UNKNOWN = 3.0, 22.0
"""Letters a second at speed 1 while nothing is known: slower and faster than any voice reads."""
ENOUGH = 20.0
"""Letters read before a voice counts as known."""
FORGETS = 0.8
"""What all earlier texts still weigh beside a new one."""
MOST = 64
"""Voices remembered; any message may name one of its own."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Between how many letters a second a voice reads."""

    slowest: float
    fastest: float


def letters(text: str) -> float:
    """How long a text is to read, in letters."""
    return sum(DIGIT if char.isdigit() else WIDE if char >= _WIDE_FROM else 1 for char in text)


class Paces:
    """The pace of each voice; `voice` is whatever tells one from another, its speed left out."""

    def __init__(self) -> None:
        self._read: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def learn(self, voice: Hashable, text: str, seconds: float, speed: float = 1.0) -> None:
        """A text was read in so many seconds."""
        read, took = self._read.pop(voice, (0.0, 0.0))
        self._read[voice] = (read * FORGETS + letters(text), took * FORGETS + seconds * speed)
        if len(self._read) > MOST:
            self._read.popitem(last=False)

    def of(self, voice: Hashable, speed: float = 1.0) -> Pace:
        """How fast a voice reads at a speed."""
        read, took = self._read.get(voice, (0.0, 0.0))
        if read < ENOUGH or took <= 0:
            return Pace(UNKNOWN[0] * speed, UNKNOWN[1] * speed)
        return Pace(*(read / took * speed * share for share in SPREAD))
