"""The contract's JSON for events, rejections and speaker states."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec


def encode(struct: msgspec.Struct) -> bytes:
    """Return the JSON of an event, a rejection or a state. Every key is present; unknown values are null."""
    return msgspec.json.encode(_format_times(msgspec.to_builtins(struct, builtin_types=(datetime,))))


def _format_times(value: object) -> object:
    """Format times as the contract does (msgspec itself would write Z and microseconds)."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, dict):
        return {key: _format_times(item) for key, item in value.items()}
    return value
