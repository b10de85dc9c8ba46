"""What a speaker does for the commands that are about it: stop, acknowledge, digest and its switches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.commands import Acknowledge, Digest, SetSetting, Stop
from edgevoice.intake.payload import decode_utf8
from edgevoice.speaker.switches import switch

if TYPE_CHECKING:
    from edgevoice.speaker.speaker import Speaker


def apply_command(speaker: Speaker, command: Stop | Acknowledge | Digest | SetSetting) -> None:
    """Do what a command says.

    Raises:
        Refused: its payload is not allowed.
    """
    match command:
        case Stop():
            speaker.stop(press_as_empty(command.payload))
        case Acknowledge():
            speaker.acknowledge(press_as_empty(command.payload))
        case Digest():
            speaker.read_digest()
        case SetSetting():
            switch(speaker, command.setting, decode_utf8(command.payload).strip())


def press_as_empty(payload: bytes) -> str:
    """A payload of the topics that want none; a button of Home Assistant sends PRESS."""
    text = decode_utf8(payload).strip()
    return "" if text == "PRESS" else text
