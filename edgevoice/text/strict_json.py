"""Reads one JSON object so that each faulty value is known by its key, and no other is lost for it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from edgevoice.errors import InvalidAnnouncement

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LONGEST_INTEGER = 20


class InvalidValue:
    """Stands in a parsed object for a value that nobody can use."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def parse_object(text: str) -> dict[str, Any]:
    """The one JSON object of `text`; NaN, endless numbers and keys that come twice are `Faulty` in it.

    Raises:
        Refused: no JSON object, or so deep that no parser reads it.
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
        raise InvalidAnnouncement(f"no valid JSON: {error}", allowed="text, or one JSON object") from None
    except RecursionError:
        raise InvalidAnnouncement("nested too deep", allowed="text, or one JSON object") from None
    if not isinstance(value, dict):
        raise InvalidAnnouncement("no JSON object", allowed="text, or one JSON object")
    return value


def reason_invalid(value: object, levels: int) -> str | None:
    """Why a parsed value cannot be used: a `Faulty`, an unsayable string, more than `levels` of nesting."""
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
    """The first control character but tab and newline, or half of a character."""
    if found := _CONTROL.search(text):
        return f"control character U+{ord(found.group()):04X}"
    return "half a character (lone surrogate)" if _SURROGATE.search(text) else None


def printable(text: str, most: int = 64) -> str:
    """What somebody sent, fit for a message: short, and printable."""
    return "".join(char if char.isprintable() else "?" for char in text[:most])


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
    return int(digits) if len(digits) <= _LONGEST_INTEGER else InvalidValue("out of range")
