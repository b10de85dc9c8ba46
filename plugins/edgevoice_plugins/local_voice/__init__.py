"""The transport `local`: espeak-ng in child processes, for when nothing may or can leave the house."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.hookspecs import hookimpl

if TYPE_CHECKING:
    from edgevoice.hookspecs import Registry


@hookimpl
def edgevoice_register(register: Registry) -> None:
    # The child imports this package too and has no use for the transport.
    from edgevoice_plugins.local_voice.transport import LocalVoice  # noqa: PLC0415

    register.transport("local", LocalVoice)
