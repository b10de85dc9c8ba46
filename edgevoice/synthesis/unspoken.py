"""Where a text has to go on after its speech broke off: behind the words that were surely spoken.

By the times of its words where the voice gave them, else by its pauses: pure functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.synthesis.pace import letters
from edgevoice.text.sentences import clause_ends, sentence_ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgevoice.plugin import WordMark
    from edgevoice.synthesis.pace import Pace

MARGIN = 0.05
"""Seconds of sound behind a word's end before it counts as spoken."""
_TRAILING = ",.;:!?…"


def offset_from_word_marks(text: str, marks: Iterable[WordMark], seconds: float) -> int:
    """Offset of the first word that was not spoken to its end within so many seconds of speech."""
    position = 0
    for mark in marks:
        found = text.find(mark.word, position)
        # A word between that nobody timed may be unspoken.
        if found < 0 or mark.end + MARGIN > seconds or _has_word(text[position:found]):
            break
        position = found + len(mark.word)
    while position < len(text) and (text[position].isspace() or text[position] in _TRAILING):
        position += 1
    return position


def after_pauses(text: str, pauses: Sequence[float], seconds: float, pace: Pace) -> int:
    """Offset of the sentence that was being spoken when it broke off after so many seconds.

    `pauses` are the seconds at which those in the speech end. Each is taken for the earliest sentence end
    or clause that it can be at this pace, so that what is wrong is wrong towards saying a sentence again.
    """
    ends = [end for end in sentence_ends(text) if _has_word(text[end:])]
    bounds = sorted({*ends, *(end for end in clause_ends(text) if _has_word(text[end:]))})
    behind, since, at = 0, 0.0, 0
    for pause in pauses:
        at = _first_not_behind(text, bounds, at, behind, pace.slowest * (pause - since))
        if at < len(bounds) and letters(text[behind : bounds[at]]) <= pace.fastest * (pause - since):
            behind, since, at = bounds[at], pause, at + 1
    at = _first_not_behind(text, bounds, at, behind, pace.slowest * (seconds - since))
    passed = bounds[at - 1] if at else 0
    return max((end for end in ends if end <= passed), default=0)


def _first_not_behind(text: str, bounds: Sequence[int], at: int, behind: int, read: float) -> int:
    """The first bound, from `at` on, up to which there is at least so much to read from `behind` on."""
    while at < len(bounds) and letters(text[behind : bounds[at]]) < read:
        at += 1
    return at


def _has_word(text: str) -> bool:
    return any(char.isalnum() for char in text)
