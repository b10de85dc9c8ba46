"""Payloads: each row of the contract's table, normalization, urgent ones with faults, arbitrary bytes.

Length: one table of payloads and what becomes of each.
"""

import json
import re
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgevoice import InvalidAnnouncement, Say, Urgency
from edgevoice.intake.payload import (
    MAX_WARNINGS,
    ParsedPayload,
    build_announcement,
    parse_payload,
    payload_schema,
)
from tests.support.examples import examples

TABLE = {
    "text": (
        ["a", "a" * 8000, "a\tb\nc", "Grüße, 你好 🔥"],
        ["", " \n\t ", "a" * 8001, "a\x00b", "a\x7fb", 42, None, "\u200b", "\0"],
    ),
    "urgency": (["low", "normal", "high", "critical"], ["urgent", "LOW", 3, ["low"]]),
    "id": (["a", "A-Z.z_09", "x" * 64], ["x" * 65, "a b", "a/b", "ä", "a\n", 7]),
    "tag": (["a", "A-Z.z_09", "x" * 64], ["x" * 65, "a b", "a/b", "ä", "a\n", 7]),
    "ttl": ([1, 86400, 1.5], [0, 0.999, 86401, -1, "0", "-60", "1e3", "NaN", True, [60]]),
    "not_before": (
        [0, 86400, 2.5, "00:00", "23:59"],
        [-1, 86401, "86401", "24:00", "7:30", "07:60", "07:30\n", True],
    ),
    "voice": (["magnus", "x" * 128], ["x" * 129, 1, "a\nb", "\ud800"]),
    "language": (["en", "x" * 16], ["x" * 17, 1, "\x01"]),
    "speed": ([0.5, 1, 2], [0.49, 2.01, "3", "fast", True]),
    "volume": ([0, 100, 33.3], [-0.1, 100.1, "101", True, {}]),
    "chime": (["none", "alarm", "ding-dong_2"], ["Alarm", "../alarm", "x" * 65, 1]),
    "transport": (["http", "http_stream", "my-tts"], ["HTTP", "a b", 1]),
    "repeat": (
        [
            {},
            {"times": 1},
            {"times": 100},
            {"every": 5},
            {"every": 3600},
            {"until_ack": True},
            {"escalate": {"after": 2, "to": ["all"]}},
        ],
        [
            {"times": 0},
            {"times": 101},
            {"times": 1.5},
            {"every": 4.9},
            {"every": 3601},
            {"until_ack": 1},
            {"unknown": 1},
            {"times": "101"},
            {"escalate": {"to": []}},
            {"escalate": {"to": ["a b"]}},
            {"escalate": {"after": 0}},
            3,
            [],
            {"\ud800": 1},
        ],
    ),
    "private": ([True, False], [1, "true"]),
    "resolves": ([True, False], [1, "true"]),
}
GOOD = [(key, value) for key, (good, _) in TABLE.items() for value in good]
BAD = [(key, value) for key, (_, bad) in TABLE.items() for value in bad]
NO_JSON = {
    "broken": b'{"text": "a"',
    "not closed": b'{"text": "a}',
    "trailing": b'{"text": "a"} b',
    "two objects": b'{"text": "a"}{"text": "b"}',
    "single quotes": b"{'text': 'a'}",
    "deep brackets": b'{"text": ' + b"[" * 100_000,
    "deep objects": b'{"text": ' * 50_000,
    "braces": b"{" * 100_000,
    "UTF-16 without its mark": '{"text": "a"}'.encode("utf-16-le"),
}
FAULTY = {
    "given twice": '"volume": 1, "volume": 2',
    "nested and given twice": '"repeat": {"times": 1, "times": 2}',
    "NaN": '"speed": NaN',
    "Infinity": '"speed": -Infinity',
    "quoted and given twice": '"ttl": "1", "ttl": "2"',
    "1e999": '"ttl": 1e999',
    "a huge integer": f'"ttl": {"9" * 5000}',
    "a large integer": f'"volume": {"9" * 400}',
    "depth 9": f'"repeat": {"[" * 8}{"]" * 8}',
    "unknown": '"texte": "a"',
    "unknown and unprintable": r'"\u001b[31m\ud800": 1',
}


def payload(**keys):
    return json.dumps({"text": "a", **keys}).encode()


def refusal_of(published, urgency=None):
    with pytest.raises(InvalidAnnouncement) as caught:
        parse_payload(published, urgency)
    assert caught.value.reason
    assert caught.value.allowed
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 300
    return caught.value


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_valid_value(key, value):
    reading = parse_payload(payload(**{key: value}))
    assert not reading.warnings
    if key != "repeat":
        assert reading.values[key] == value


@pytest.mark.parametrize(("key", "value"), BAD)
def test_invalid_value(key, value):
    assert refusal_of(payload(**{key: value})).key == key


@pytest.mark.parametrize(("key", "value"), [case for case in BAD if case[0] not in ("text", "urgency")])
def test_critical_ignores_invalid_value(key, value):
    reading = parse_payload(payload(**{key: value}), "critical")
    assert reading.values == {"text": "a", "urgency": Urgency.CRITICAL}
    (warning,) = reading.warnings
    assert warning.startswith(f"{key}: ")
    assert warning.isprintable()


@pytest.mark.parametrize("faulty", FAULTY.values(), ids=FAULTY.keys())
def test_faulty_key_is_named_or_ignored_if_critical(faulty):
    published = f'{{"text": "Fire", {faulty}}}'.encode()
    key = refusal_of(published).key
    reading = parse_payload(published, "critical")
    assert reading.values == {"text": "Fire", "urgency": Urgency.CRITICAL}
    assert f'"{key}"' in faulty or set(key) > {"?"}
    assert reading.warnings[0].startswith(key)


@pytest.mark.parametrize("published", NO_JSON.values(), ids=NO_JSON.keys())
def test_invalid_json_is_rejected(published):
    for urgency in (None, "critical"):
        assert "JSON" in refusal_of(published, urgency).allowed


@pytest.mark.parametrize(
    "value", [b'{"text": 5}', b"{}", b'{"text": "a", "text": "b"}', b'{"text": NaN}', b'{"text": " "}']
)
def test_critical_needs_usable_text(value):
    assert refusal_of(value, "critical").key == "text"


@pytest.mark.parametrize(
    "published",
    [
        b"",
        b" \n",
        b"\xff",
        b"a\xc3",
        '{"text": "a"}'.encode("utf-16"),
        b"a" * 8001,
        "\ufeff\u200b\0".encode(),
    ],
)
def test_invalid_text_is_rejected(published):
    for urgency in (None, "critical"):
        assert refusal_of(published, urgency).key == "text"


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\x1b[0m", "a\u0085b", '{"text": "a\\u0007b"}', '{"text": "\\ud800 b"}']
)
def test_control_characters_are_spaces_if_critical(text):
    for urgency in (None, "high"):
        assert refusal_of(text.encode(), urgency).key == "text"
    parsed = parse_payload(text.encode(), "critical")
    assert parsed.values["text"].isprintable()
    assert parsed.values["text"].split()
    assert parsed.warnings[0].startswith("text: ")


@pytest.mark.parametrize(
    ("published", "text"),
    [
        ("\ufeffHello", "Hello"),
        ("\u200b \tHello\u2060\n\u200d", "Hello"),
        ("Hello\0\0", "Hello"),
        ("Hello\n\0 \0", "Hello"),
        ("a\r\nb\rc\n", "a\nb\nc"),
        ("a\u200db \ufeff c", "a\u200db \ufeff c"),
        ('\ufeff\u00a0{"text": "a"}\0', "a"),
        ('\r\n{"text": " a\\r\\nb\\u0000"}', "a\nb"),
    ],
)
def test_edges_and_line_breaks_are_normalized(published, text):
    assert parse_payload(published.encode()).values == {"text": text}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"ttl": "60"}, {"ttl": 60}),
        ({"volume": " 33.5 "}, {"volume": 33.5}),
        ({"speed": "1.5", "not_before": "30"}, {"speed": 1.5, "not_before": 30}),
        ({"not_before": "07:30"}, {"not_before": "07:30"}),
        ({"ttl": None, "id": "", "tag": None, "chime": "", "private": None, "urgency": None}, {}),
        ({"x-origin": {"a": [1]}, "x-": None}, {}),
        ({"voice": "7"}, {"voice": "7"}),
    ],
)
def test_quoted_numbers_and_empty_keys(given, taken):
    parsed = parse_payload(payload(**given))
    assert parsed.values == {"text": "a", **taken}
    assert not parsed.warnings


def test_quoted_numbers_and_empty_keys_in_repeat():
    given = {"times": "2", "every": "5.5", "until_ack": None, "escalate": {"after": "3", "to": ["all"]}}
    repeat = parse_payload(payload(repeat=given)).values["repeat"]
    assert (repeat.times, repeat.every, repeat.escalate.after) == (2, 5.5, 3)
    assert repeat.until_ack is False


@pytest.mark.parametrize("key", ["texte", "X-origin", "x_origin"])
def test_unknown_key_silences_neither_high_nor_critical(key):
    for urgency in (None, "low"):
        assert refusal_of(payload(**{key: 1}), urgency).key == key
    for urgency in ("high", "critical"):
        parsed = parse_payload(payload(**{key: 1}), urgency)
        assert parsed.values == {"text": "a", "urgency": Urgency(urgency)}
        assert parsed.warnings[0].startswith(key)
    assert refusal_of(payload(**{key: 1, "volume": 900}), "high").key == key


@pytest.mark.parametrize(
    "text", ["42", '"hi"', "null", "[1, 2]", "true", "a" * 8000, " {", "}", "NaN", "5 > 3"]
)
def test_anything_but_an_object_is_text(text):
    if text.lstrip().startswith("{"):
        refusal_of(text.encode())
    else:
        assert parse_payload(text.encode()).values == {"text": text}


def test_depth_limit():
    # The object itself is the first level.
    assert refusal_of(f'{{"text": "a", "repeat": {"[" * 7}{"]" * 7}}}'.encode()).reason != "nested too deep"
    assert refusal_of(f'{{"text": "a", "repeat": {"[" * 8}{"]" * 8}}}'.encode()).reason == "nested too deep"


def test_urgency_of_topic_wins():
    assert parse_payload(payload(urgency="low"), "high").values["urgency"] is Urgency.HIGH
    assert parse_payload(b"a", "critical").values["urgency"] is Urgency.CRITICAL


@pytest.mark.parametrize("level", ["urgent", "", "HIGH", "\ud800", "a" * 1000])
def test_unknown_urgency_in_topic(level):
    for published in (b"a", payload(urgency="critical")):
        assert refusal_of(published, level).key == "urgency"


def test_critical_in_payload_is_as_lenient():
    reading = parse_payload(payload(urgency="critical", volume=1000, ttl="x", colour="red"))
    assert reading.values == {"text": "a", "urgency": Urgency.CRITICAL}
    assert [warning.split(":")[0] for warning in reading.warnings] == ["volume", "ttl", "colour"]


def test_warnings_are_bounded():
    warnings = parse_payload(payload(**{f"k{number}": 1 for number in range(1000)}), "critical").warnings
    assert len(warnings) == MAX_WARNINGS + 1
    assert warnings[-1] == f"{1000 - MAX_WARNINGS} more faults"


# ---- unexpected input ----------------------------------------------------------------------------

KEYS = st.one_of(st.sampled_from([*TABLE, "end", ""]), st.text(max_size=5))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["low", "critical", "12:00", "a\ud800", 10**30]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6).map(lambda value: json.dumps(value).encode())
MANGLED = st.builds(
    lambda published, at, byte: published[:at] + bytes([byte]) + published[at + 1 :],
    OBJECTS,
    st.integers(0, 60),
    st.integers(0, 255),
)


def accepted_or_refused(published, urgency):
    try:
        reading = parse_payload(published, urgency)
    except InvalidAnnouncement as refusal:
        assert refusal.reason  # noqa: PT017 - either is right
        json.dumps([refusal.reason, refusal.key, refusal.allowed], ensure_ascii=False).encode()
    else:
        assert reading.values["text"].strip()
        assert len(reading.values["text"]) <= 8000
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", reading.values["text"])
        assert not reading.warnings or reading.values["urgency"].rank >= Urgency.HIGH.rank
        assert reading.values.keys() <= TABLE.keys()
        json.dumps(reading.warnings, ensure_ascii=False).encode()


URGENCIES = st.sampled_from([None, None, "critical", "low", "x"])


@examples(700)
@given(published=st.binary(max_size=200), urgency=URGENCIES)
@example(published=b"\xef\xbb\xbf{}", urgency=None)
def test_any_bytes(published, urgency):
    accepted_or_refused(published, urgency)


@examples(500)
@given(text=st.text(st.characters(exclude_categories=[])), urgency=URGENCIES)
def test_any_text_in_object(text, urgency):
    accepted_or_refused(json.dumps({"text": text, "id": text, "urgency": text}).encode(), urgency)
    accepted_or_refused(text.encode("utf-8", "surrogatepass"), urgency)


@examples(900)
@given(published=OBJECTS | MANGLED, urgency=URGENCIES)
def test_any_object(published, urgency):
    accepted_or_refused(published, urgency)


@examples(400)
@given(key=st.sampled_from(list(TABLE)), value=VALUES)
def test_any_value_of_any_key(key, value):
    accepted_or_refused(payload(**{key: value}), None)
    accepted_or_refused(payload(**{key: value}), "critical")


# ---- the schema --------------------------------------------------------------------------------------


def valid(schema, value, whole):
    """As much of JSON Schema as the schema of an announcement is written in."""
    if "$ref" in schema:
        return valid(whole["$defs"][schema["$ref"].rpartition("/")[2]], value, whole)
    if "anyOf" in schema:
        return any(valid(option, value, whole) for option in schema["anyOf"])
    assert schema.keys() <= CHECKS.keys() | WORDS | {"$schema", "$defs", "patternProperties"}
    return (
        is_kind(schema, value)
        and all(check(schema[word], value) for word, check in CHECKS.items() if word in schema)
        and (not isinstance(value, list) or all(valid(schema["items"], item, whole) for item in value))
        and (not isinstance(value, dict) or valid_keys(schema, value, whole))
    )


def valid_keys(schema, value, whole):
    known = schema["properties"]
    assert schema["additionalProperties"] is False
    free = schema.get("patternProperties", {})
    named = {key: item for key, item in value.items() if not any(re.search(pattern, key) for pattern in free)}
    return named.keys() <= known.keys() and all(valid(known[key], item, whole) for key, item in named.items())


def is_kind(schema, value):
    kinds = {
        "string": str,
        "boolean": bool,
        "object": dict,
        "array": list,
        "integer": int,
        "number": (int, float),
    }
    kind = schema.get("type")
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    return kind is None or isinstance(value, kinds[kind])


WORDS = {"title", "description", "default", "type", "properties", "additionalProperties", "items"}
CHECKS = {
    "enum": lambda allowed, value: value in allowed,
    "minLength": lambda least, value: len(value) >= least,
    "maxLength": lambda most, value: len(value) <= most,
    "minItems": lambda least, value: len(value) >= least,
    "maxItems": lambda most, value: len(value) <= most,
    "minimum": lambda least, value: value >= least,
    "maximum": lambda most, value: value <= most,
    "pattern": lambda pattern, value: re.search(pattern, value) is not None,
    "required": lambda keys, value: set(keys) <= value.keys(),
}
# A JSON Schema cannot say these: blank, control characters, a line break at the very end.
UNSAYABLE = re.compile(r"^[\s\u200b]+$|[\x00-\x1f\x7f\ud800]")


def test_schema_has_every_key():
    schema = payload_schema()
    announcement = schema["$defs"]["Payload"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert announcement["properties"].keys() == TABLE.keys()
    assert announcement["required"] == ["text"]
    assert announcement["additionalProperties"] is False


def test_schema_agrees_with_parser():
    schema = payload_schema()
    for key, value in GOOD:
        assert valid(schema, {"text": "a", key: value}, schema), (key, value)
    for key, value in BAD:
        if not (isinstance(value, str) and UNSAYABLE.search(value)):
            assert not valid(schema, {"text": "a", key: value}, schema), (key, value)
    assert not valid(schema, {"text": "a", "colour": "red"}, schema)
    assert valid(schema, {"text": "a", "x-colour": "red"}, schema)


# ---- times on the local clock -------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")


def wait_until(moment, local_now):
    said = build_announcement(
        Say(target="all", payload=b""),
        ParsedPayload({"text": "a", "not_before": moment}),
        received_monotonic=0.0,
        local_now=local_now,
    )
    return said.not_before


@pytest.fixture(params=["UTC", "America/New_York"])
def process_zone(request, monkeypatch):
    """The zone of the process, which must not matter where one is configured."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "moment", "hours"),
    [
        ("2026-11-28T06:00", "07:30", 1.5),
        ("2026-11-28T07:30", "07:30", 0),
        ("2026-11-28T08:00", "07:30", 23.5),
        ("2026-10-24T20:00", "07:00", 12),  # summer time ends in this night
        ("2026-03-28T20:00", "07:00", 10),  # and begins in this one
        ("2026-12-31T23:00", "00:00", 1),
    ],
)
def test_not_before_is_of_configured_zone(process_zone, now, moment, hours):
    local_now = datetime.fromisoformat(now).replace(tzinfo=BERLIN)
    assert wait_until(moment, local_now) == hours * 3600


def test_not_before_without_configured_zone_is_of_system(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        local_now = datetime(2026, 10, 24, 20, 0).astimezone()
        assert wait_until("07:00", local_now) == 12 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_not_before_in_seconds():
    assert wait_until(7, datetime(2026, 10, 24, 20, 0, tzinfo=BERLIN)) == 7
