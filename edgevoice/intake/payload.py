"""Reads what was published into an announcement, and refuses what the contract refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edgevoice.announcement import Urgency
from edgevoice.errors import InvalidAnnouncement
from edgevoice.text.strict_json import invalid_character, parse_object, printable, reason_invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_TEXT_CHARS = 8000
MAX_JSON_DEPTH = 8
MAX_WARNINGS = 16

Label = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$", description="1 to 64 of A-Z a-z 0-9 . _ -")]
Target = Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]


class Escalate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an alert that nobody acknowledges goes on to, and after how many rounds."""

    after: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    to: Annotated[list[Target], Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often, how far apart (seconds), and until when an alert insists."""

    times: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    every: Annotated[float, Meta(ge=5, le=3600)] | UnsetType = UNSET
    until_ack: bool | UnsetType = UNSET
    escalate: Escalate | UnsetType = UNSET


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An EdgeVoice announcement."""

    text: Text
    urgency: Urgency | UnsetType = UNSET
    id: Label | UnsetType = UNSET
    tag: Label | UnsetType = UNSET
    ttl: Annotated[float, Meta(ge=1, le=86400, description="seconds")] | UnsetType = UNSET
    not_before: (
        Annotated[float, Meta(ge=0, le=86400)]
        | Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
        | UnsetType
    ) = UNSET
    voice: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    language: Annotated[str, Meta(min_length=1, max_length=16)] | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.5, le=2)] | UnsetType = UNSET
    volume: Annotated[float, Meta(ge=0, le=100)] | UnsetType = UNSET
    chime: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")] | UnsetType = UNSET
    transport: Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")] | UnsetType = UNSET
    repeat: Repeat | UnsetType = UNSET
    private: bool = False
    resolves: bool = False


_ALLOWED = {
    "text": "1 to 8000 characters",
    "urgency": "low, normal, high or critical",
    "id": "1 to 64 of A-Z a-z 0-9 . _ -",
    "tag": "1 to 64 of A-Z a-z 0-9 . _ -",
    "ttl": "1 to 86400 seconds",
    "not_before": 'seconds from now (0 to 86400), or "HH:MM"',
    "voice": "a voice's name, up to 128 characters",
    "language": "a language code, up to 16 characters",
    "speed": "0.5 to 2",
    "volume": "0 to 100",
    "chime": "a chime's name, or none",
    "transport": "the name of a transport",
    "repeat": '{"times": 1-100, "every": 5-3600, "until_ack": bool, "escalate": {"after": n, "to": [target]}}',
    "private": "true or false",
    "resolves": "true or false",
}
_TYPES = {field.encode_name: field.type for field in msgspec.structs.fields(Payload)}


Known: TypeAlias = "Mapping[str, Collection[str]]"
NOTHING_KNOWN: Known = {}


class ParsedPayload(msgspec.Struct, frozen=True):
    """What a payload says: its usable keys, and the faults that an urgent one is spoken in spite of."""

    values: dict[str, Any]
    warnings: tuple[str, ...] = ()


def parse_payload(payload: bytes, urgency: str | None = None, known: Known = NOTHING_KNOWN) -> ParsedPayload:
    """Read text or one JSON object; `urgency` is the one the topic gives and wins.

    `known` are the names there are, for keys whose value is one of them.

    Raises:
        Refused: with the reason, the key and what is allowed. A critical one with a usable text is not
            refused for its other keys: they fall to their defaults, and the faults are warnings.
    """
    text = decode_utf8(payload)
    keys = parse_object(text) if is_object(text) else {"text": text}
    if "text" not in keys:
        raise InvalidAnnouncement("missing", key="text", allowed=_ALLOWED["text"])
    if urgency is not None:
        keys["urgency"] = urgency
    return parse_options(keys, known)


def parse_options(keys: Mapping[str, Any], known: Known = NOTHING_KNOWN) -> ParsedPayload:
    """Read some keys of the table; a live text has no `text` among them.

    Raises:
        Refused: as for `read_payload`.
    """
    values: dict[str, Any] = {}
    faults: list[InvalidAnnouncement] = []
    for key, value in keys.items():
        try:
            values[key] = _value(key, value, known.get(key))
        except InvalidAnnouncement as fault:
            faults.append(fault)
    text_is_usable = "text" in values or "text" not in keys
    if faults and not (text_is_usable and values.get("urgency") is Urgency.CRITICAL):
        raise faults[0]
    warnings = [
        f"{fault.key}: {fault.reason}; the default is used (allowed: {fault.allowed})"
        for fault in faults[:MAX_WARNINGS]
    ]
    if len(faults) > MAX_WARNINGS:
        warnings.append(f"{len(faults) - MAX_WARNINGS} more faults")
    return ParsedPayload(values, tuple(warnings))


def peek_id(payload: bytes) -> str | None:
    """The id of a payload that is refused, so that its sender can tell which it was."""
    try:
        text = decode_utf8(payload)
        named = parse_object(text).get("id") if is_object(text) else None
        return str(_value("id", named, None)) if named is not None else None
    except InvalidAnnouncement:
        return None


def decode_utf8(payload: bytes) -> str:
    """Text of a payload.

    Raises:
        Refused: no valid UTF-8.
    """
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidAnnouncement(
            f"invalid UTF-8 at byte {error.start}", key="text", allowed="UTF-8 text"
        ) from None


def is_object(text: str) -> bool:
    """Whether a payload is meant as JSON: its first character that is no white space is `{`."""
    return text.lstrip()[:1] == "{"


def has_only_options(text: str) -> bool:
    """Whether a piece of live text is an object with only keys of the table and `end`."""
    try:
        return parse_object(text).keys() <= {*_TYPES, "end"}
    except InvalidAnnouncement:
        return False


def check_text(text: str) -> str:
    """Text that may be spoken, unchanged.

    Raises:
        Refused: blank, too long, or with characters that nobody can say.
    """
    if not text.strip():
        raise InvalidAnnouncement("blank", key="text", allowed=_ALLOWED["text"])
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidAnnouncement(f"{len(text)} characters", key="text", allowed=_ALLOWED["text"])
    check_characters(text)
    return text


def check_characters(text: str) -> None:
    """Raises Refused for control characters but tab and newline, and for halves of characters."""
    if fault := invalid_character(text):
        raise InvalidAnnouncement(
            fault, key="text", allowed="valid Unicode, no control characters but tab and newline"
        )


def _value(key: str, value: object, known: Collection[str] | None) -> object:
    if key not in _TYPES:
        raise InvalidAnnouncement("unknown key", key=printable(key), allowed=", ".join(_ALLOWED))
    if key == "text" and isinstance(value, str):
        return check_text(value)
    if fault := reason_invalid(value, MAX_JSON_DEPTH - 1):
        raise InvalidAnnouncement(fault, key=key, allowed=_ALLOWED[key])
    try:
        converted = msgspec.convert(value, _TYPES[key])
    except msgspec.ValidationError as error:
        raise InvalidAnnouncement(_plain(error), key=key, allowed=_ALLOWED[key]) from None
    if known is not None and converted not in known:
        raise InvalidAnnouncement(
            f"there is none called {printable(str(value))}", key=key, allowed=", ".join(sorted(known))
        )
    return converted


def _plain(error: msgspec.ValidationError) -> str:
    return printable(str(error).replace("`", "").split(" - at $")[0], 120)


def payload_schema() -> Mapping[str, Any]:
    """The JSON Schema of an announcement, draft 2020-12."""
    schema = msgspec.json.schema(Payload)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
