"""The position where a text continues after its speech broke off, and the sound of the broken end.

An error must repeat words and never skip one. See docs/decisions/resume-after-failure.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.audio.gain import fade_tail
from edgevoice.text.sentences import sentence_ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgevoice.audio.clip import Clip
    from edgevoice.plugin import WordMark

#: Seconds of audio after the end of a word before it counts as spoken.
WORD_MARGIN_S = 0.05
#: Letters that a voice reads in a second at the very least, at speed 1.
SLOWEST_LETTERS_PER_S = 4.0
#: A sentence counts as spoken when this share of the audio would have been enough to read it.
SURE_SHARE = 0.9
#: Letters that a digit and a character of a script without an alphabet are read as, roughly.
DIGIT_LETTERS, WIDE_LETTERS = 4, 3
_TRAILING = ",.;:!?…"


async def fade_out(clip: Clip) -> None:
    """Fade the broken end of a clip and append a short silence."""
    last = await clip.excerpt(clip.frames - 1, clip.frames)
    await clip.append(fade_tail(last, clip.rate))


def unspoken_offset(text: str, seconds: float, marks: Sequence[WordMark], speed: float = 1.0) -> int:
    """Return the offset in `text` of the words left to say after `seconds` of its speech."""
    return offset_from_word_marks(text, marks, seconds) if marks else offset_from_share(text, seconds, speed)


def offset_from_word_marks(text: str, marks: Iterable[WordMark], seconds: float) -> int:
    """Return the offset of the first word that was not spoken to its end."""
    position = 0
    for mark in marks:
        found = text.find(mark.word, position)
        # A word without a mark may be unspoken.
        if found < 0 or mark.end + WORD_MARGIN_S > seconds or _has_word(text[position:found]):
            break
        position = found + len(mark.word)
    while position < len(text) and (text[position].isspace() or text[position] in _TRAILING):
        position += 1
    return position


def offset_from_share(text: str, seconds: float, speed: float = 1.0) -> int:
    """Return the end of the last sentence that even a slow voice had spoken; 0 to repeat the text.

    The last sentence of the text never counts as spoken.
    """
    read = seconds * SLOWEST_LETTERS_PER_S * speed * SURE_SHARE
    ends = [end for end in sentence_ends(text) if _has_word(text[end:])]
    return max((end for end in ends if reading_length(text[:end]) <= read), default=0)


def reading_length(text: str) -> int:
    """Return how long a text is to read, in letters."""
    return sum(DIGIT_LETTERS if char.isdigit() else WIDE_LETTERS if char >= "\u2e80" else 1 for char in text)


def _has_word(text: str) -> bool:
    return any(char.isalnum() for char in text)
