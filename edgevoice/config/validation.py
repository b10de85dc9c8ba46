"""Read YAML with line numbers, and convert plain values to option structs, reporting every issue."""

from __future__ import annotations

import dataclasses
import types
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from edgevoice.errors import ConfigError, ConfigIssue
from edgevoice.paths import relative_to_config
from edgevoice.text.checks import closest, invalid_character

if TYPE_CHECKING:
    from collections.abc import Collection

S = TypeVar("S", bound=msgspec.Struct)
#: Stands for a value that could not be converted. Its issue was reported.
INVALID = object()


class Validator:
    """Collects the issues and warnings of one document."""

    def __init__(self, document: Document, file: Path | None = None) -> None:
        self._document = document
        self._file = file
        self.issues: list[ConfigIssue] = []
        self.warnings: list[str] = []

    def issue(self, path: KeyPath, message: str) -> None:
        self.issues.append(ConfigIssue(printable(path), message, self._document.line(path)))

    def unknown(self, path: KeyPath, allowed: Collection[str]) -> None:
        self.issue(path, f"unknown key; {closest(str(path[-1]), allowed)}")

    def struct(
        self, options: type[S], value: object, path: KeyPath, *, known: Collection[str] = ()
    ) -> S | None:
        """Convert a mapping to `options`, reporting issues. An invalid value is replaced by its default.

        Returns None if an invalid or missing value has no default. Keys in `known` are checked elsewhere.
        """
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self.issue(path, f"must be a mapping, not {_kind(value)}")
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
                self.issue((*path, field.encode_name), "missing")
                given[field.name] = INVALID
        return self._made(options, given, path)

    def _made(self, options: type[S], given: dict[str, Any], path: KeyPath) -> S | None:
        required = {field.name for field in msgspec.structs.fields(options) if field.required}
        if any(given[name] is INVALID for name in required):
            return None
        try:
            return options(**{name: value for name, value in given.items() if value is not INVALID})
        except (ValueError, TypeError) as error:  # what a plugin's __post_init__ does not allow
            self.issue(path, str(error))
            return None

    def value(self, wanted: Any, value: object, path: KeyPath) -> Any:
        """Convert one value. Returns INVALID, and reports the issue, if it cannot be converted."""
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
            return INVALID if converted is None else converted
        if Path in _options_of(plain) and isinstance(value, str):
            return relative_to_config(value, self._file)
        try:
            return msgspec.convert(value, str | None if Path in _options_of(plain) else wanted)
        except msgspec.ValidationError as error:
            self.issue(path, _message(error, wanted, value))
            return INVALID


def keys_of(options: type[msgspec.Struct]) -> set[str]:
    """Return the keys that a mapping of these options may have."""
    return {field.encode_name for field in msgspec.structs.fields(options)}


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
    """Return the type of the items if a list or a tuple of any length is wanted, else None."""
    for option in _options_of(wanted):
        if get_origin(option) in (list, tuple) and get_args(option)[1:] in ((), (...,)):
            return get_args(option)[0]
    return None


def _whole(converted: Any, wanted: Any = dict) -> Any:
    """Return a dict, list or tuple, or INVALID if one of its items is."""
    items = [*converted, *converted.values()] if isinstance(converted, dict) else converted
    if any(item is INVALID for item in items):
        return INVALID
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
        return f"{value!r} is not a string; put it in quotes"
    for jargon, word in _WORDS.items():
        text = text.replace(f"`{jargon}", f"`{word}")
    text = text.replace("`", "")
    return f"{text} (it is {_brief(value)})" if isinstance(value, str | int | float) else text


def _choices(wanted: Any) -> list[str]:
    """Return the values that enumerations and literals allow."""
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


MAX_FILE_BYTES = 256 * 1024
#: Aliases are visited each time they are used: this bounds what a small file of aliases can expand to.
MAX_NODES = 20_000
TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"
PLAIN = frozenset(f"{TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq"))
KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file, and the line of each."""

    values: dict[str, Any]
    lines: dict[KeyPath, int] = dataclasses.field(default_factory=dict)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a path, or of its nearest parent that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def read_yaml(file: Path) -> Document:
    """Read a configuration file.

    Raises:
        ConfigError: The file cannot be read, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError([ConfigIssue("", f"cannot be read: {error.strerror}")], str(file)) from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError([ConfigIssue("", f"larger than {MAX_FILE_BYTES // 1024} KiB")], str(file))
    try:
        return parse_yaml(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError([ConfigIssue("", f"invalid UTF-8 at byte {error.start}")], str(file)) from None
    except ConfigError as error:
        raise ConfigError(error.issues, str(file)) from None


def parse_yaml(text: str) -> Document:
    """Read YAML text.

    Raises:
        ConfigError: As for `read_yaml`, without the file's name.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return Document({})
        walk = _Walk(loader)
        walk.visit(node, ())
        if walk.issues:
            raise ConfigError(walk.issues)
        values = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ConfigError([_yaml_issue(error)]) from None
    except (ValueError, OverflowError):
        message = "invalid YAML: an escape sequence stands for no character"
        raise ConfigError([ConfigIssue("", message, loader.line + 1)]) from None
    except RecursionError:
        raise ConfigError([ConfigIssue("", "nested too deeply")]) from None
    if values is None:
        return Document({})
    if not isinstance(values, dict):
        raise ConfigError([ConfigIssue("", "must be a mapping of sections, such as `mqtt: {host: ...}`", 1)])
    return Document(values, walk.lines)


class _Walk:
    """Records the line of each path, and reports duplicate keys and values that no option can have."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.issues: list[ConfigIssue] = []
        self._loader = loader
        self._left = MAX_NODES

    def visit(self, node: yaml.Node, path: KeyPath) -> None:
        self._left -= 1
        if self._left < 0:
            raise ConfigError([ConfigIssue("", "too many keys and values")])
        if problem := self._invalid(node):
            self._report(path, problem, node)
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines.setdefault((*path, index), item.start_mark.line + 1)
                self.visit(item, (*path, index))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._report(path, "a key must be plain text", key)
                continue
            name = str(key.value)
            if key.tag != MERGE and (problem := self._invalid(key)):
                self._report((*path, name), problem, key)
            if name in seen and key.tag != MERGE:
                self._report((*path, name), "given twice", key)
            seen.add(name)
            self.lines[(*path, name)] = key.start_mark.line + 1
            self.visit(value, (*path, name))

    def _invalid(self, node: yaml.Node) -> str | None:
        """Return why no option can have such a value, else None."""
        if node.tag not in PLAIN:
            return f"no option takes a {node.tag.rpartition(':')[2]}; text belongs in quotes"
        if isinstance(node, yaml.ScalarNode):
            if not node.value.isascii() and invalid_character(node.value):
                return "contains a lone surrogate, which is not a character"
            try:
                self._loader.construct_object(node)
            except (ValueError, LookupError):
                return "does not match its tag"
        return None

    def _report(self, path: KeyPath, message: str, node: yaml.Node) -> None:
        self.issues.append(ConfigIssue(printable(path), message, node.start_mark.line + 1))


def printable(path: KeyPath) -> str:
    """Return a path as users write it: `speakers.kitchen.groups[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _yaml_issue(error: yaml.YAMLError) -> ConfigIssue:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
    return ConfigIssue("", f"invalid YAML: {problem}", mark.line + 1 if mark else None)
