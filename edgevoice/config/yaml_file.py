"""Reads a YAML file into plain values, with the line of each key, and refuses what no one means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from edgevoice.errors import ConfigError, ConfigIssue
from edgevoice.intake.strict_json import invalid_character

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 256 * 1024
MAX_NODES = 20_000
"""Aliases are walked as often as they are used; this bounds what a file of aliases may become."""

TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"
PLAIN = frozenset(f"{TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq"))

KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file, and on which line each stands."""

    values: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int | None:
        """The line of a path, or of the nearest one above it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def read_yaml(file: Path) -> Document:
    """Read a configuration file.

    Raises:
        ConfigError: the file cannot be read, is no YAML, is no mapping, or has a key twice.
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
        raise ConfigError([ConfigIssue("", f"no valid UTF-8 at byte {error.start}")], str(file)) from None
    except ConfigError as error:
        raise ConfigError(error.issues, str(file)) from None


def parse_yaml(text: str) -> Document:
    """Read YAML text.

    Raises:
        ConfigError: as for `read_yaml`, without the file's name.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return Document({})
        walk = _Walk(loader)
        walk.visit(node, ())
        if walk.mistakes:
            raise ConfigError(walk.mistakes)
        values = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ConfigError([_mistake(error)]) from None
    except (ValueError, OverflowError):
        message = "no valid YAML: an escape in it stands for no character"
        raise ConfigError([ConfigIssue("", message, loader.line + 1)]) from None
    except RecursionError:
        raise ConfigError([ConfigIssue("", "nested too deep")]) from None
    if values is None:
        return Document({})
    if not isinstance(values, dict):
        raise ConfigError(
            [ConfigIssue("", "has to be a mapping of sections, such as `mqtt: {host: ...}`", 1)]
        )
    return Document(values, walk.lines)


class _Walk:
    """Notes the line of each path, keys that come twice, and values that no option can have."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.mistakes: list[ConfigIssue] = []
        self._loader = loader
        self._left = MAX_NODES

    def visit(self, node: yaml.Node, path: KeyPath) -> None:
        self._left -= 1
        if self._left < 0:
            raise ConfigError([ConfigIssue("", "more keys and values than any configuration has")])
        if problem := self._problem(node):
            self._tell(path, problem, node)
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
                self._tell(path, "a key has to be plain text", key)
                continue
            name = str(key.value)
            if key.tag != MERGE and (problem := self._problem(key)):
                self._tell((*path, name), problem, key)
            if name in seen and key.tag != MERGE:
                self._tell((*path, name), "given twice", key)
            seen.add(name)
            self.lines[(*path, name)] = key.start_mark.line + 1
            self.visit(value, (*path, name))

    def _problem(self, node: yaml.Node) -> str | None:
        """Why no option can have such a value."""
        if node.tag not in PLAIN:
            return f"no option takes a {node.tag.rpartition(':')[2]}; text belongs in quotes"
        if isinstance(node, yaml.ScalarNode):
            if not node.value.isascii() and invalid_character(node.value):
                return "holds half a character"
            try:
                self._loader.construct_object(node)
            except (ValueError, LookupError):
                return "is not what its tag says"
        return None

    def _tell(self, path: KeyPath, message: str, node: yaml.Node) -> None:
        self.mistakes.append(ConfigIssue(printable(path), message, node.start_mark.line + 1))


def printable(path: KeyPath) -> str:
    """A path as users write it: `speakers.kitchen.groups[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _mistake(error: yaml.YAMLError) -> ConfigIssue:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
    return ConfigIssue("", f"no valid YAML: {problem}", mark.line + 1 if mark else None)
