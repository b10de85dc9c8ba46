"""Load plugins from entry points and the drop-in folder. A broken plugin is reported and left out."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partialmethod
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import msgspec
import pluggy

from edgevoice import plugin as plugin_api
from edgevoice.errors import PluginError
from edgevoice.plugin import Observer, Output, Plugin, Source, Transport
from edgevoice.text.checks import check_text, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.metadata import EntryPoint
    from pathlib import Path
    from types import ModuleType

logger = logging.getLogger(__name__)

GROUP = "edgevoice"
NAME = re.compile("[a-z0-9_-]{1,64}")


class Status(StrEnum):
    """The state of a plugin after loading."""

    READY = "ready"
    #: Loaded, but a dependency must be installed before it can be used.
    INCOMPLETE = "incomplete"
    BROKEN = "broken"


@dataclass(slots=True)
class PluginRecord:
    """A plugin that was found: where, what it provides, and what is wrong with it."""

    name: str
    origin: str
    status: Status = Status.READY
    problem: str | None = None
    provides: list[str] = field(default_factory=list)


class Plugins:
    """All plugins, by kind and name."""

    def __init__(self) -> None:
        self.sources: dict[str, type[Source]] = {}
        self.transports: dict[str, type[Transport]] = {}
        self.outputs: dict[str, type[Output]] = {}
        self.observers: dict[str, type[Observer]] = {}
        self.records: list[PluginRecord] = []
        self._hooks = pluggy.PluginManager("edgevoice")
        self._hooks.add_hookspecs(plugin_api)

    @classmethod
    def load(cls, folder: Path | None = None) -> Plugins:
        """Load the installed plugins, then those in the drop-in folder."""
        plugins = cls()
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            plugins.add(entry.name, _distribution(entry), entry.load)
        if folder is not None:
            plugins.add_folder(folder)
        return plugins

    def add_classes(self, kinds: Mapping[str, type[Plugin]]) -> None:
        """Register classes by name, each as what it derives from; for tests.

        Raises:
            PluginError: A name is taken, or a class is not a plugin.
        """
        registration = _Registration(self, PluginRecord("classes", "this process"))
        for name, kind in kinds.items():
            base = next(
                (base for base in (Source, Transport, Output, Observer) if issubclass(kind, base)), None
            )
            if base is None:
                raise PluginError(f"{name}: {kind.__name__} derives from no kind of plugin")
            registration.enter(base, name, kind)

    def add_folder(self, folder: Path) -> None:
        """Load each `*.py` of the drop-in folder."""
        try:
            files = sorted(file for file in folder.iterdir() if file.suffix == ".py")
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or "it is not a valid path"
            self.records.append(
                PluginRecord(folder.name, str(folder), Status.BROKEN, f"cannot be read: {problem}")
            )
            return
        for file in files:
            self.add(file.stem, str(file), lambda file=file: _import_file(file))  # type: ignore[misc]

    def add(self, name: str, origin: str, load: Callable[[], Any]) -> PluginRecord:
        """Load one plugin and let it register. Whatever it raises is recorded."""
        record = PluginRecord(name, origin)
        self.records.append(record)
        registration = _Registration(self, record)
        module: ModuleType | None = None
        try:
            module = load()
            self._check_hooks(module)
            self._hooks.register(module, name=f"{name} from {origin}")
            self._register(module, registration)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit included
            registration.undo()
            if module is not None and self._hooks.is_registered(module):
                self._hooks.unregister(module)
            record.status = Status.BROKEN
            record.problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return record

    @property
    def sections(self) -> dict[str, list[type[Plugin]]]:
        """The plugins that own each section of the configuration; all of one section have the same options."""
        owners: dict[str, list[type[Plugin]]] = {}
        for name, kind in (*self.sources.items(), *self.observers.items()):
            owners.setdefault(name, []).append(kind)
        for name, transport in self.transports.items():
            owners.setdefault(transport.section or name, []).append(transport)
        return owners

    def broken(self, name: str) -> str | None:
        """Return what is wrong with the plugin of this name; None if it works or does not exist."""
        for record in self.records:
            if record.name == name and record.status is Status.BROKEN:
                return f"the plugin {name!r} is broken: {record.problem}"
        return None

    def unknown(self, kind: str, name: str) -> str:
        """Return why there is no such plugin: it is broken, or else the names that are similar."""
        there = closest(name, getattr(self, f"{kind}s"))
        return self.broken(name) or f"no {kind} is called {name!r}; {there}"

    def _register(self, module: ModuleType, registration: _Registration) -> None:
        others = [other for other in self._hooks.get_plugins() if other is not module]
        self._hooks.subset_hook_caller("edgevoice_register", others)(register=registration)
        record = registration.record
        if any(impl.plugin is module for impl in self._hooks.hook.edgevoice_filter_text.get_hookimpls()):
            record.provides.append("text filter")
        if not record.provides:
            raise PluginError("it registers nothing: it needs a `@hookimpl def edgevoice_register(register)`")

    @property
    def has_text_filters(self) -> bool:
        return bool(self._hooks.hook.edgevoice_filter_text.get_hookimpls())

    def filter_text(self, text: str, language: str) -> str:
        """Return the text to speak, after the text filters of all plugins."""
        filters = self._hooks.hook.edgevoice_filter_text.get_hookimpls()
        for impl in sorted(filters, key=lambda impl: impl.plugin_name):
            given = {"text": text, "language": language}
            try:
                result = impl.function(*(given[name] for name in impl.argnames))
                text = text if result is None else check_text(str(result))
            except (Exception, SystemExit):
                logger.exception("the text filter of plugin %s failed; it is skipped", impl.plugin_name)
        return text

    def _check_hooks(self, module: ModuleType) -> None:
        """Raise an error for a misspelt hook, which pluggy would silently never call."""
        hooks = [name for name in dir(plugin_api) if name.startswith(f"{GROUP}_")]
        for name, member in inspect.getmembers(module, callable):
            marked = getattr(member, f"{GROUP}_impl", None)
            if isinstance(marked, dict) and (hook := marked.get("specname") or name) not in hooks:
                raise PluginError(f"there is no hook {hook!r}; {closest(hook, hooks)}")


class _Registration:
    """The registry handed to one plugin; see `plugin.Registry`."""

    def __init__(self, plugins: Plugins, record: PluginRecord) -> None:
        self.record = record
        self._plugins = plugins
        self._entered: list[tuple[dict[str, Any], str]] = []

    def undo(self) -> None:
        """Remove what was registered: nothing of a broken plugin is used."""
        for entered, name in self._entered:
            del entered[name]
        self.record.provides.clear()

    def enter(self, base: type[Plugin], name: str, plugin: type[Plugin]) -> None:
        kind = base.__name__.lower()
        entered: dict[str, type[Plugin]] = getattr(self._plugins, f"{kind}s")
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise PluginError(f"{name!r} is not a valid name for a {kind}: use 1 to 64 of a-z 0-9 _ -")
        if not (inspect.isclass(plugin) and issubclass(plugin, base)):
            raise PluginError(f"{kind} {name!r} must be a subclass of edgevoice.{base.__name__}")
        if inspect.isabstract(plugin):
            missing_methods = ", ".join(sorted(getattr(plugin, "__abstractmethods__", ())))
            raise PluginError(f"{kind} {name!r} does not implement {missing_methods}")
        if name in entered:
            raise PluginError(f"a {kind} called {name!r} exists already, from {entered[name].__module__}")
        msgspec.structs.fields(plugin.options)  # raises unless the options are a struct that can be resolved
        section = getattr(plugin, "section", None) or name
        for other in self._plugins.sections.get(section, ()) if kind != "output" else ():
            if other.options is not plugin.options:
                raise PluginError(
                    f"the section {section!r} has other options already, from {other.__module__}"
                )
        missing = plugin.missing_dependency()
        entered[name] = plugin
        self._entered.append((entered, name))
        self.record.provides.append(f"{kind} {name}")
        if missing:
            self.record.status = Status.INCOMPLETE
            self.record.problem = missing

    source = partialmethod(enter, Source)
    transport = partialmethod(enter, Transport)
    output = partialmethod(enter, Output)
    observer = partialmethod(enter, Observer)


def _distribution(entry: EntryPoint) -> str:
    """Return the name of the package that a plugin came with, if its metadata can be read."""
    try:
        return str(entry.dist.name) if entry.dist else "?"
    except Exception:  # noqa: BLE001 - metadata of a foreign package
        return "?"


def _import_file(file: Path) -> ModuleType:
    _check_safe(file.parent)
    _check_safe(file)
    name = f"edgevoice_dropin_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_safe(path: Path) -> None:
    """Raise an error if anyone but root or the service's own user could change a plugin: it is trusted code."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise PluginError(f"{path} is a symbolic link: put the file itself there")
    if status.st_uid not in (0, os.geteuid()):
        raise PluginError(f"{path} belongs to another user: chown it to root or to the service's user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PluginError(f"{path} can be written by others: chmod go-w {path}")
