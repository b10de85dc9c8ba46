"""Announces the output `sound_card`: PyAudio in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice import hookimpl
from edgevoice_plugins.sound_card.output import SoundCard

if TYPE_CHECKING:
    from edgevoice import Registry


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.output("sound_card", SoundCard)
