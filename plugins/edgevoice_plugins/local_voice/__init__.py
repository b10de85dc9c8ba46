"""The transport `local`: espeak-ng in child processes, for texts that may not or cannot leave the house."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice import hookimpl

if TYPE_CHECKING:
    from edgevoice import Registry


@hookimpl
def edgevoice_register(register: Registry) -> None:
    # Not at the top: the child imports this package too, and does not need the transport.
    from edgevoice_plugins.local_voice.transport import LocalVoice  # noqa: PLC0415

    register.transport("local", LocalVoice)
