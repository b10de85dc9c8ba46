"""The hook that plugins implement: it only registers, and never waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    from edgevoice.plugin import Observer, Output, Source, Transport

hookspec = pluggy.HookspecMarker("edgevoice")
hookimpl = pluggy.HookimplMarker("edgevoice")


class Registry(Protocol):
    """What a plugin calls to enter; a name is what the configuration calls it."""

    def source(self, name: str, plugin: type[Source]) -> None: ...

    def transport(self, name: str, plugin: type[Transport]) -> None: ...

    def output(self, name: str, plugin: type[Output]) -> None: ...

    def observer(self, name: str, plugin: type[Observer]) -> None: ...


@hookspec
def edgevoice_register(register: Registry) -> None:
    """Register the sources, transports, outputs and observers of this plugin, by name."""
