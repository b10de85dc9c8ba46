"""Strict parsing of one JSON object. A faulty value is marked under its key, so that the others can be used."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from edgevoice.errors import InvalidAnnouncement

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MAX_INTEGER_DIGITS = 20


class InvalidValue:
    """Stands in a parsed object for a value that cannot be used."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object. NaN, infinite or huge numbers and duplicate keys become an `InvalidValue`.

    Raises:
        InvalidAnnouncement: it is not a JSON object, or nested too deep.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_pairs,
            parse_constant=lambda _: InvalidValue("not a number"),
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise InvalidAnnouncement(f"invalid JSON: {error}", allowed="text, or one JSON object") from None
    except RecursionError:
        raise InvalidAnnouncement("nested too deep", allowed="text, or one JSON object") from None
    if not isinstance(value, dict):
        raise InvalidAnnouncement("not a JSON object", allowed="text, or one JSON object")
    return value


def reason_invalid(value: object, levels: int) -> str | None:
    """Return why a value cannot be used: an `InvalidValue`, a bad character, more than `levels` of nesting."""
    if isinstance(value, InvalidValue):
        return value.reason
    if isinstance(value, str):
        return "a line break or tab" if "\n" in value or "\t" in value else invalid_character(value)
    if not isinstance(value, dict | list):
        return None
    if levels == 0:
        return "nested too deep"
    items = [*value, *value.values()] if isinstance(value, dict) else value
    return next((fault for item in items if (fault := reason_invalid(item, levels - 1))), None)


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


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(items)
    for key, count in Counter(key for key, _ in items).items():
        if count > 1:
            values[key] = InvalidValue("given twice")
    return values


def _float(digits: str) -> float | InvalidValue:
    value = float(digits)
    return InvalidValue("not a number") if value in (float("inf"), float("-inf")) else value


def _integer(digits: str) -> int | InvalidValue:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else InvalidValue("out of range")
