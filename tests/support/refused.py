"""Payloads that the contract refuses, of every kind and the same ones each time."""

from __future__ import annotations

import json
from itertools import chain

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings

ALLOWED_KEYS = {
    "urgency": "critical",
    "id": "a-1",
    "tag": "t",
    "ttl": 60,
    "not_before": 0,
    "voice": "magnus",
    "language": "en",
    "speed": 1,
    "volume": 50,
    "chime": "none",
    "transport": "http",
    "repeat": {"times": 1},
    "private": False,
    "resolves": False,
}
#: Control characters but tab, newline and carriage return, which becomes a newline.
CONTROL = [chr(code) for code in [*range(9), 11, 12, *range(14, 32), *range(127, 160)]]
SURROGATES = st.integers(0xD800, 0xDFFF).map(chr)

words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() and text.lstrip()[0] != "{"
)
keys = st.sampled_from(sorted(ALLOWED_KEYS))


def dumped(values: object) -> bytes:
    return json.dumps(values).encode()


def invalid_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return True
    return False


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def spoilt(text: str, at: int, character: str) -> str:
    """Put a character into a text; not at its edges, which are stripped."""
    at %= len(text) + 1
    return f"a{text[:at]}{character}{text[at:]}z"


def with_key(key: str, value: object) -> bytes:
    return dumped({"text": "never said", key: value})


binary = st.binary(min_size=1, max_size=300).filter(invalid_utf8)
broken = st.text(st.characters(codec="utf-8"), max_size=200).map(lambda text: "{" + text)
broken_json = broken.filter(lambda text: not is_json(text)).map(str.encode)
cut_json = st.integers(1, 40).map(lambda end: dumped({"text": "never said", "urgency": "critical"})[:end])
deep_json = st.tuples(st.integers(8, 10_000), st.sampled_from(["[]", '{"a":}'])).map(
    lambda how: f'{{"text": "never said", "tag": {how[1][:-1] * how[0]}{how[1][-1] * how[0]}}}'.encode()
)
blank = st.one_of(
    st.text(" \t\n", max_size=9).map(str.encode),
    st.text(" \t\n", max_size=9).map(lambda t: dumped({"text": t})),
)
controls = st.builds(spoilt, words, st.integers(0, 20), st.sampled_from(CONTROL))
controls = controls.filter(lambda text: text.lstrip()[0] != "{")
control_characters = st.one_of(controls.map(str.encode), controls.map(lambda text: dumped({"text": text})))
lone_surrogates = st.builds(spoilt, words, st.integers(0, 20), SURROGATES).map(lambda t: dumped({"text": t}))
other_surrogates = st.tuples(keys, SURROGATES).map(lambda pair: with_key(*pair))
surrogate_names = SURROGATES.map(lambda name: with_key(name, 1))
no_scalars = st.one_of(
    st.none(), st.lists(st.integers(), max_size=3), st.dictionaries(words, words, max_size=2)
)
wrong_types = st.tuples(
    keys.filter(lambda key: key != "repeat"), no_scalars.filter(lambda v: v is not None)
).map(lambda pair: with_key(*pair))
wrong_text = st.one_of(no_scalars, st.integers(), st.booleans()).map(lambda value: dumped({"text": value}))
numbers = st.one_of(
    st.sampled_from(
        ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "9" * 400, "9" * 5000, "-1"]
    ),
    st.integers(86_401, 10**30).map(str),
    st.floats(max_value=-0.01, allow_infinity=False, allow_nan=False).map(repr),
)
huge_numbers = st.tuples(
    st.sampled_from(["ttl", "volume", "speed", "not_before", "id", "chime"]), numbers
).map(lambda pair: f'{{"text": "never said", "{pair[0]}": {pair[1]}}}'.encode())
unknown_keys = words.filter(lambda key: key not in {"text", *ALLOWED_KEYS} and not key.startswith("x-")).map(
    lambda key: with_key(key, 1)
)
twice = keys.map(lambda key: f'{{"text": "never said", "{key}": 1, "{key}": 1}}'.encode())
too_long = st.tuples(st.integers(8001, 9000), st.booleans()).map(
    lambda how: dumped({"text": "a" * how[0]}) if how[1] else b"a" * how[0]
)
KINDS = {
    "binary": binary,
    "broken": broken_json,
    "cut": cut_json,
    "deep": deep_json,
    "blank": blank,
    "control": control_characters,
    "surrogate": lone_surrogates,
    "surrogate elsewhere": other_surrogates,
    "surrogate name": surrogate_names,
    "type": wrong_types,
    "text": wrong_text,
    "number": huge_numbers,
    "unknown": unknown_keys,
    "twice": twice,
    "long": too_long,
}


def generated(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """Return this many different payloads, the same ones each time."""
    found: dict[bytes, None] = {}

    @settings(
        derandomize=True,
        database=None,
        max_examples=4 * count,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(payload: bytes) -> None:
        if len(found) < count:
            found[payload] = None

    collect()
    return list(found)


def refused_payloads() -> list[bytes]:
    """200 of them, of every kind."""
    return list(chain.from_iterable(zip(*(generated(kind, 14) for kind in KINDS.values()), strict=True)))[
        :200
    ]
