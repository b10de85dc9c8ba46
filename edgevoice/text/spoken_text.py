"""Validation of spoken text."""

from __future__ import annotations

from edgevoice.errors import InvalidAnnouncement
from edgevoice.text.strict_json import invalid_character

MAX_TEXT_CHARS = 8000
ALLOWED_TEXT = f"1 to {MAX_TEXT_CHARS} characters"


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
