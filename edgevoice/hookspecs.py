"""The hooks a plugin can implement. A hook must not wait; each call is guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    from edgevoice.plugin import Observer, Output, Source, Transport

hookspec = pluggy.HookspecMarker("edgevoice")
hookimpl = pluggy.HookimplMarker("edgevoice")


class Registry(Protocol):
    """The argument of `edgevoice_register`. The configuration calls the plugin by the registered name."""

    def source(self, name: str, plugin: type[Source]) -> None: ...

    def transport(self, name: str, plugin: type[Transport]) -> None: ...

    def output(self, name: str, plugin: type[Output]) -> None: ...

    def observer(self, name: str, plugin: type[Observer]) -> None: ...


@hookspec
def edgevoice_register(register: Registry) -> None:
    """Register the plugin's sources, transports, outputs and observers. Called once, when it is loaded."""


@hookspec
def edgevoice_filter_text(text: str, language: str) -> str | None:
    """Return the text to speak instead of `text`; None to leave it as it is.

    Called on the event loop for each whole text, private ones included, before it is cut into requests and
    looked up in the cache; not for live text. The same text must always give the same result. The hooks of
    several plugins are called in the order of the plugins' names, each with the result of the last. One that
    raises, or returns anything else than a text that can be spoken, is skipped, and the error is logged.
    """
