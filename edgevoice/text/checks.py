"""Checks of texts: the characters and the length of a spoken text, and the closest word to a misspelt one."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from edgevoice.errors import InvalidAnnouncement

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_TEXT_CHARS = 8000
ALLOWED_TEXT = f"1 to {MAX_TEXT_CHARS} characters"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def check_text(text: str) -> str:
    """Return a text unchanged, if it can be spoken.

    Raises:
        InvalidAnnouncement: It is blank, too long, or has control characters or lone surrogates.
    """
    if not text.strip():
        raise InvalidAnnouncement("blank", key="text", allowed=ALLOWED_TEXT)
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidAnnouncement(f"{len(text)} characters", key="text", allowed=ALLOWED_TEXT)
    check_characters(text)
    return text


def check_characters(text: str) -> None:
    """Raise InvalidAnnouncement for control characters but tab and newline, and for lone surrogates."""
    if fault := invalid_character(text):
        raise InvalidAnnouncement(
            fault, key="text", allowed="valid Unicode, no control characters but tab and newline"
        )


def invalid_character(text: str) -> str | None:
    """Return the first control character but tab and newline, or lone surrogate; None if there is none."""
    if found := _CONTROL.search(text):
        return f"control character U+{ord(found.group()):04X}"
    return "lone surrogate" if _SURROGATE.search(text) else None


def replace_invalid_characters(text: str) -> str:
    """Replace control characters but tab and newline, and lone surrogates, by spaces."""
    return _SURROGATE.sub(" ", _CONTROL.sub(" ", text))


def printable(text: str, max_chars: int = 64) -> str:
    """Make a sender's text fit for a message: short, and printable."""
    return "".join(char if char.isprintable() else "?" for char in text[:max_chars])


def closest(word: str, allowed: Collection[str]) -> str:
    """Return a hint: the closest allowed word, else the list of them."""
    if not allowed:
        return "there are none"
    close = difflib.get_close_matches(word, [str(name) for name in allowed], 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(allowed))}"
