"""What is told of announcements, as the JSON of the contract."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec


def encode(told: msgspec.Struct) -> bytes:
    """The JSON of an event, a rejection or a state; every key is there, unknown ones are null."""
    return msgspec.json.encode(_told(msgspec.to_builtins(told, builtin_types=(datetime,))))


def _told(value: object) -> object:
    """The value with its times as the contract writes them; msgspec would write Z and microseconds."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    return value
