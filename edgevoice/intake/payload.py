"""Payloads: parsing and validation of a text or one JSON object, and the announcement that is made of it.

Length: the keys of a payload, what can be wrong with them, and what the keys mean belong together.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypedDict, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edgevoice.announcement import DEFAULT_TTL_S, Announcement, RepeatPolicy, Urgency
from edgevoice.commands import LiveChunk, Say
from edgevoice.errors import InvalidAnnouncement
from edgevoice.text.checks import (
    ALLOWED_TEXT,
    MAX_TEXT_CHARS,
    check_text,
    invalid_character,
    printable,
    replace_invalid_characters,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edgevoice.text.live import LiveText

MAX_JSON_DEPTH = 8
MAX_WARNINGS = 16
#: White space, zero-width characters and byte order marks at the edges of a payload; NULs at its end, too.
_LEADING = re.compile(r"[\s\u200b-\u200d\u2060\ufeff]+")
_TRAILING = re.compile(r"[\s\u200b-\u200d\u2060\ufeff\0]+\Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?")
_MAX_INTEGER_DIGITS = 20
#: Keys with this prefix are free for the sender's own use.
FREE_PREFIX = "x-"

Label = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$", description="1 to 64 of A-Z a-z 0-9 . _ -")]
Target = Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")]
Flag = Annotated[bool, Meta(description="true or false", extra_json_schema={"default": False})]
_REPEAT = '{"times": 1-100, "every": 5-3600, "until_ack": bool, "escalate": {"after": n, "to": [target]}}'


class Escalate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Further targets of an unacknowledged alert, and after how many rounds they are added."""

    after: Annotated[int, Meta(ge=1, le=100)] = 1
    to: Annotated[tuple[Target, ...], Meta(min_length=1, max_length=64)] = ()


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often, at which interval (seconds), and until when an alert is repeated."""

    times: Annotated[int, Meta(ge=1, le=100)] = 3
    every: Annotated[float, Meta(ge=5, le=3600)] = 30.0
    until_ack: bool = False
    escalate: Escalate | UnsetType = UNSET


class Payload(TypedDict, total=False):
    """An EdgeVoice announcement."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS, description=ALLOWED_TEXT)]
    urgency: Annotated[Urgency, Meta(description="low, normal, high or critical")]
    id: Label
    tag: Label
    ttl: Annotated[float, Meta(ge=1, le=86400, description="1 to 86400 seconds")]
    not_before: Annotated[
        Annotated[float, Meta(ge=0, le=86400)]
        | Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")],
        Meta(description='seconds from now (0 to 86400), or "HH:MM"'),
    ]
    voice: Annotated[
        str, Meta(min_length=1, max_length=128, description="a voice's name, up to 128 characters")
    ]
    language: Annotated[
        str, Meta(min_length=1, max_length=16, description="a language code, up to 16 characters")
    ]
    speed: Annotated[float, Meta(ge=0.5, le=2, description="0.5 to 2")]
    volume: Annotated[float, Meta(ge=0, le=100, description="0 to 100")]
    chime: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="a chime's name, or none")]
    transport: Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$", description="the name of a transport")]
    repeat: Annotated[Repeat, Meta(description=_REPEAT)]
    private: Flag
    resolves: Flag


_TYPES = get_type_hints(Payload, include_extras=True)
_SCHEMA = msgspec.json.schema(Payload)
# Not said by the type, because live text has only options.
_SCHEMA["$defs"]["Payload"] |= {
    "required": ["text"],
    "additionalProperties": False,
    "patternProperties": {f"^{FREE_PREFIX}": {}},
}
#: Allowed values of each key, for rejections and warnings.
_ALLOWED = {key: schema["description"] for key, schema in _SCHEMA["$defs"]["Payload"]["properties"].items()}
#: Keys whose number may come in quotes, as templates of Home Assistant send them.
_NUMERIC = frozenset({"ttl", "not_before", "speed", "volume", "times", "every", "after"})

#: The names that exist, for keys whose value is one of them (`chime`, `transport`).
Known: TypeAlias = "Mapping[str, Collection[str]]"


class ParsedPayload(msgspec.Struct, frozen=True):
    """The valid keys of a payload, and the faults in spite of which it is spoken."""

    values: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()


def parse_payload(payload: bytes, urgency: str | None = None, known: Known | None = None) -> ParsedPayload:
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


def parse_options(keys: Mapping[str, Any], known: Known | None = None) -> ParsedPayload:
    """Validate keys; `text` may be missing, as in the options of live text.

    Raises:
        InvalidAnnouncement: as `parse_payload`.
    """
    values: dict[str, Any] = {}
    faults: list[InvalidAnnouncement] = []
    for key, value in keys.items():
        try:
            values[key] = _value(key, value, known.get(key) if known else None)
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
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_SCHEMA}


# The announcement


def build_announcement(
    command: Say | LiveChunk,
    parsed: ParsedPayload,
    *,
    live: LiveText | None = None,
    received_monotonic: float,
    local_now: datetime,
) -> Announcement:
    """Return the announcement of a command; `live` takes the place of a text.

    `local_now` is the time on the node's local clock, which `not_before: "HH:MM"` refers to.
    """
    fields = {"id": uuid.uuid4().hex[:12], "urgency": Urgency.NORMAL, **parsed.values}
    moment = fields.get("not_before", 0.0)
    fields["not_before"] = wait_s = _seconds_until(moment, local_now)
    if isinstance(moment, str):
        fields["due_at"] = local_now.astimezone(UTC) + timedelta(seconds=wait_s)
    ttl = fields.get("ttl", DEFAULT_TTL_S[fields["urgency"]])
    fields["ttl"] = ttl if command.expires is None else min(ttl, command.expires)
    if "repeat" in fields:
        fields["repeat"] = _repeat_policy(fields["repeat"])
    return Announcement(
        **fields,
        target=command.target,
        live=live,
        received_monotonic=received_monotonic,
        received_at=local_now.astimezone(UTC),
        warnings=parsed.warnings,
        topic=command.topic if isinstance(command, Say) else None,
        origin=command.origin,
    )


def payload_of(announcement: Announcement) -> bytes:
    """Return a payload that `build_announcement` makes the same announcement of, apart from its times."""
    keys = {key: getattr(announcement, key) for key in _TYPES}  # null means that a key is not given
    keys |= {"ttl": min(max(announcement.ttl, 1.0), 86_400.0), "not_before": None}
    if (policy := announcement.repeat) is not None:
        after, to = policy.escalate_after, policy.escalate_to
        escalate = Escalate(after, to) if after is not None and to else UNSET
        keys["repeat"] = Repeat(policy.times or 1, policy.every_s, policy.until_ack, escalate)
    return msgspec.json.encode(keys)


def _repeat_policy(repeat: Repeat) -> RepeatPolicy:
    escalate = repeat.escalate if isinstance(repeat.escalate, Escalate) else None
    return RepeatPolicy(
        times=repeat.times,
        every_s=repeat.every,
        until_ack=repeat.until_ack,
        escalate_after=escalate.after if escalate else None,
        escalate_to=escalate.to if escalate else (),
    )


def _seconds_until(moment: float | str, local_now: datetime) -> float:
    """Return a number of seconds unchanged, or the seconds until the local clock shows "HH:MM" the next time."""
    if not isinstance(moment, str):
        return moment
    now, today, at = local_now.astimezone(UTC), local_now.date(), time.fromisoformat(moment)
    then = _local_time(today, at, local_now)
    if then < now:
        then = _local_time(today + timedelta(days=1), at, local_now)
    return (then - now).total_seconds()


def _local_time(day: date, at: time, local_now: datetime) -> datetime:
    """Return when the local clock shows `at` on a day. Daylight saving time may begin or end before that."""
    naive = datetime.combine(day, at)
    # Without a configured zone, the offset of `local_now` is only that of this moment: ask the system.
    has_zone = isinstance(local_now.tzinfo, ZoneInfo)
    return (naive.replace(tzinfo=local_now.tzinfo) if has_zone else naive).astimezone(UTC)


# Strict JSON


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
