"""What goes between the voice's child process and its parent.

Down: one JSON object a line is something to say; an empty line stops it, and is ignored when nothing is
being said. Up: frames of a kind, a length and a payload, of which the last for each utterance is DONE or
FAILED. The parent sends the next utterance only after that.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec

HEADER = struct.Struct("<BI")
"""Kind, bytes of payload."""
STOP = b"\n"


class Kind(IntEnum):
    """The kinds of frames."""

    READY = 0
    AUDIO = 1
    WORD = 2
    DONE = 3
    FAILED = 4


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say: `voice` is a name of espeak's, `rate` words a minute, `sample_rate` Hz."""

    text: str
    voice: str
    rate: int
    sample_rate: int


class SpokenWord(msgspec.Struct, frozen=True):
    """A word as it stands in the text, and its seconds from the start of the audio."""

    index: int
    word: str
    start: float
    end: float


def frame(kind: Kind, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def line(utterance: Utterance) -> bytes:
    """One line of JSON; a lone surrogate, which UTF-8 cannot carry, becomes a question mark."""
    text = utterance.text.encode("utf-8", "replace").decode()
    return msgspec.json.encode(msgspec.structs.replace(utterance, text=text)) + b"\n"
