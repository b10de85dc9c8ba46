"""Checks plain values against a struct of options, and tells every mistake, not only the first."""

from __future__ import annotations

import types
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from edgevoice.config.yaml_file import printable
from edgevoice.errors import ConfigIssue
from edgevoice.spelling import closest

if TYPE_CHECKING:
    from collections.abc import Collection

    from edgevoice.config.yaml_file import Document, KeyPath

S = TypeVar("S", bound=msgspec.Struct)

FAULTY = object()
"""Stands for a value that could not be converted; the mistake was told."""


class Validator:
    """Gathers the mistakes of one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.mistakes: list[ConfigIssue] = []
        self.warnings: list[str] = []

    def mistake(self, path: KeyPath, message: str) -> None:
        self.mistakes.append(ConfigIssue(printable(path), message, self._document.line(path)))

    def unknown(self, path: KeyPath, allowed: Collection[str], what: str = "unknown key") -> None:
        self.mistake(path, f"{what}; {closest(str(path[-1]), allowed)}")

    def struct(
        self, options: type[S], value: object, path: KeyPath, *, known: Collection[str] = ()
    ) -> S | None:
        """Convert a mapping to `options`, telling mistakes; what is faulty falls to its default.

        None where there is no default. `known` are further keys that somebody else checks.
        """
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self.mistake(path, f"has to be a mapping, not {_kind(value)}")
            value = {}
        fields = {field.encode_name: field for field in msgspec.structs.fields(options)}
        given = {}
        for key, item in value.items():
            if key in fields:
                given[fields[key].name] = self.value(fields[key].type, item, (*path, str(key)))
            elif key not in known:
                self.unknown((*path, str(key)), [*fields, *known])
        for field in fields.values():
            if field.required and field.name not in given:
                self.mistake((*path, field.encode_name), "missing")
                given[field.name] = FAULTY
        return self._made(options, given, path)

    def _made(self, options: type[S], given: dict[str, Any], path: KeyPath) -> S | None:
        required = {field.name for field in msgspec.structs.fields(options) if field.required}
        if any(given[name] is FAULTY for name in required):
            return None
        try:
            return options(**{name: value for name, value in given.items() if value is not FAULTY})
        except (ValueError, TypeError) as error:  # what a plugin's __post_init__ does not allow
            self.mistake(path, str(error))
            return None

    def value(self, wanted: Any, value: object, path: KeyPath) -> Any:
        """Convert one value; FAULTY, with mistakes told, where that cannot be."""
        plain = _plain(wanted)
        if get_origin(plain) is dict and isinstance(value, dict):
            names, items = get_args(plain)
            return _whole(
                {
                    self.value(names, key, (*path, str(key))): self.value(items, item, (*path, str(key)))
                    for key, item in value.items()
                }
            )
        if (item_type := _items(plain)) is not None and isinstance(value, list):
            return _whole([self.value(item_type, item, (*path, at)) for at, item in enumerate(value)], plain)
        struct = _struct_of(plain)
        if struct and (plain is struct or isinstance(value, dict)):
            converted = self.struct(struct, value, path)
            return FAULTY if converted is None else converted
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            self.mistake(path, _message(error, wanted, value))
            return FAULTY


def _plain(wanted: Any) -> Any:
    return get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted


def _options_of(wanted: Any) -> tuple[Any, ...]:
    return get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)


def _struct_of(wanted: Any) -> type[msgspec.Struct] | None:
    for option in _options_of(wanted):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _items(wanted: Any) -> Any:
    """The type of each item, where a list or a tuple of any length is wanted."""
    for option in _options_of(wanted):
        if get_origin(option) in (list, tuple) and get_args(option)[1:] in ((), (...,)):
            return get_args(option)[0]
    return None


def _whole(converted: Any, wanted: Any = dict) -> Any:
    """A dict, list or tuple, unless an item of it is faulty."""
    items = [*converted, *converted.values()] if isinstance(converted, dict) else converted
    if any(item is FAULTY for item in items):
        return FAULTY
    is_tuple = any(get_origin(option) is tuple for option in _options_of(wanted))
    return tuple(converted) if is_tuple else converted


def _message(error: msgspec.ValidationError, wanted: Any, value: object) -> str:
    text = str(error).split(" - at `")[0]
    for option in _options_of(wanted):
        for meta in get_args(option)[1:] if get_origin(option) is Annotated else ():
            if isinstance(meta, msgspec.Meta) and meta.description:
                return f"{_brief(value)} is not allowed: {meta.description}"
    if text.startswith("Invalid enum value"):
        return f"{_brief(value)} is none of them; {closest(str(value), _choices(wanted))}"
    if text.startswith("Expected `str`") and isinstance(value, bool | int | float):
        return f"{value!r} is no text; put it in quotes"
    for jargon, word in _WORDS.items():
        text = text.replace(f"`{jargon}", f"`{word}")
    text = text.replace("`", "")
    return f"{text} (it is {_brief(value)})" if isinstance(value, str | int | float) else text


def _choices(wanted: Any) -> list[str]:
    """The words of the enumerations and literals among what is wanted."""
    words: list[str] = []
    for option in _options_of(_plain(wanted)):
        if get_origin(option) is Literal:
            # YAML's off is false.
            words += ["off" if word is False else str(word) for word in get_args(option)]
        elif isinstance(option, type) and issubclass(option, Enum):
            words += [str(member.value) for member in option]
    return list(dict.fromkeys(words))


_WORDS = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "array": "list",
    "object": "mapping",
    "null": "nothing",
}


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kind(value: object) -> str:
    return {list: "a list", str: "text", bool: "true or false"}.get(type(value), "a number")
