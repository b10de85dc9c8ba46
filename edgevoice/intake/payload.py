"""Parsing and validation of payloads: text, or one JSON object with the keys of the contract."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edgevoice.announcement import Urgency
from edgevoice.errors import InvalidAnnouncement
from edgevoice.text.spoken_text import ALLOWED_TEXT, MAX_TEXT_CHARS, check_text
from edgevoice.text.strict_json import (
    parse_object,
    printable,
    reason_invalid,
    replace_invalid_characters,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_JSON_DEPTH = 8
MAX_WARNINGS = 16
#: White space, zero-width characters and byte order marks at the edges of a payload; NULs at its end, too.
_LEADING = re.compile(r"[\s\u200b-\u200d\u2060\ufeff]+")
_TRAILING = re.compile(r"[\s\u200b-\u200d\u2060\ufeff\0]+\Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")
#: Keys with this prefix are free for the sender's own use.
FREE_PREFIX = "x-"

Label = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$", description="1 to 64 of A-Z a-z 0-9 . _ -")]
Target = Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]


class Escalate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Further targets of an unacknowledged alert, and after how many rounds they are added."""

    after: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    to: Annotated[list[Target], Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often, at which interval (seconds), and until when an alert is repeated."""

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
    "text": ALLOWED_TEXT,
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
#: Keys whose number may come in quotes, as templates of Home Assistant send them.
_NUMERIC = frozenset({"ttl", "not_before", "speed", "volume", "times", "every", "after"})


#: The names that exist, for keys whose value is one of them (`chime`, `transport`).
Known: TypeAlias = "Mapping[str, Collection[str]]"
NOTHING_KNOWN: Known = {}


class ParsedPayload(msgspec.Struct, frozen=True):
    """The valid keys of a payload, and the faults in spite of which it is spoken."""

    values: dict[str, Any]
    warnings: tuple[str, ...] = ()


def parse_payload(payload: bytes, urgency: str | None = None, known: Known = NOTHING_KNOWN) -> ParsedPayload:
    """Parse text or one JSON object. `urgency` is the urgency of the topic and wins.

    Raises:
        InvalidAnnouncement: with the reason, the key and what is allowed. A critical one with a usable
            text is accepted all the same, a high one in spite of unknown keys: faulty keys are at their
            defaults, and the faults are warnings.
    """
    text = normalize(decode_utf8(payload))
    keys = normalize_keys(parse_object(text)) if is_object(text) else {"text": text}
    if "text" not in keys:
        raise InvalidAnnouncement("missing", key="text", allowed=_ALLOWED["text"])
    if urgency is not None:
        keys["urgency"] = urgency
    return parse_options(keys, known)


def parse_options(keys: Mapping[str, Any], known: Known = NOTHING_KNOWN) -> ParsedPayload:
    """Validate keys; `text` may be missing, as in the options of live text.

    Raises:
        InvalidAnnouncement: as `parse_payload`.
    """
    values: dict[str, Any] = {}
    faults: list[InvalidAnnouncement] = []
    for key, value in keys.items():
        try:
            values[key] = _value(key, value, known.get(key))
        except InvalidAnnouncement as fault:
            faults.append(fault)
    urgency = values.get("urgency")
    if urgency is Urgency.CRITICAL and "text" not in values:
        values |= _with_spaces(keys.get("text"))
    is_spoken = "text" in values or "text" not in keys
    if urgency is not Urgency.CRITICAL:
        is_spoken = urgency is Urgency.HIGH and is_spoken and all(fault.key not in _TYPES for fault in faults)
    if faults and not is_spoken:
        raise faults[0]
    warnings = [
        f"{fault.key}: {fault.reason}; "
        + ("spaces instead" if fault.key == "text" else f"ignored (allowed: {fault.allowed})")
        for fault in faults[:MAX_WARNINGS]
    ]
    if len(faults) > MAX_WARNINGS:
        warnings.append(f"{len(faults) - MAX_WARNINGS} more faults")
    return ParsedPayload(values, tuple(warnings))


def normalize(text: str) -> str:
    """Strip what an editor or a template leaves at the edges, and make every line break LF."""
    text = text[match.end() :] if (match := _LEADING.match(text)) else text
    return _TRAILING.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def normalize_keys(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Drop null, empty and free keys, and take numbers out of their quotes."""
    kept: dict[str, Any] = {}
    for key, value in keys.items():
        if key == "text" and isinstance(value, str):
            kept[key] = normalize(value)
        elif key == "text" or not (value is None or value == "" or key.startswith(FREE_PREFIX)):
            kept[key] = _unquoted(key, value)
    return kept


def _unquoted(key: str, value: Any) -> Any:
    if isinstance(value, dict) and key in ("repeat", "escalate"):
        return normalize_keys(value)
    if key in _NUMERIC and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


def _with_spaces(text: object) -> dict[str, str]:
    """Return a critical announcement's text with spaces for what cannot be spoken, if that helps."""
    if not isinstance(text, str):
        return {}
    try:
        return {"text": check_text(replace_invalid_characters(text))}
    except InvalidAnnouncement:
        return {}


def peek_id(payload: bytes) -> str | None:
    """Return the id in a rejected payload, for the event that tells its sender."""
    try:
        text = normalize(decode_utf8(payload))
        named = parse_object(text).get("id") if is_object(text) else None
        return str(_value("id", named, None)) if named is not None else None
    except InvalidAnnouncement:
        return None


def decode_utf8(payload: bytes) -> str:
    """Decode a payload.

    Raises:
        InvalidAnnouncement: it is not valid UTF-8.
    """
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidAnnouncement(
            f"invalid UTF-8 at byte {error.start}", key="text", allowed="UTF-8 text"
        ) from None


def is_object(text: str) -> bool:
    """Return whether a payload is meant as JSON: it begins with `{`, after white space."""
    return text.lstrip()[:1] == "{"


def has_only_options(text: str) -> bool:
    """Return whether a chunk of live text is an object that has only keys of an announcement and `end`."""
    try:
        return all(key in _TYPES or key == "end" or key.startswith(FREE_PREFIX) for key in parse_object(text))
    except InvalidAnnouncement:
        return False


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
            f"unknown name {printable(str(value))!r}", key=key, allowed=", ".join(sorted(known))
        )
    return converted


def _plain(error: msgspec.ValidationError) -> str:
    return printable(str(error).replace("`", "").split(" - at $")[0], 120)


def payload_schema() -> Mapping[str, Any]:
    """Return the JSON Schema of an announcement, draft 2020-12."""
    schema = msgspec.json.schema(Payload)
    schema["$defs"]["Payload"]["patternProperties"] = {f"^{FREE_PREFIX}": {}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
