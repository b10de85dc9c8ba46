"""The protocol between the voice's child process and its parent.

To the child: an utterance is a JSON object on a line; an empty line stops the current utterance, and is
ignored where there is none. To the parent: frames of kind, length and payload; DONE or FAILED ends each
utterance. The parent sends the next utterance only after that.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec

#: Kind of the frame, bytes of its payload.
HEADER = struct.Struct("<BI")
STOP = b"\n"


class Kind(IntEnum):
    """The kinds of frames."""

    READY = 0
    AUDIO = 1
    WORD = 2
    DONE = 3
    FAILED = 4


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """A text to speak, with the name of an espeak-ng voice."""

    text: str
    voice: str
    words_per_minute: int
    #: Rate in Hz of the audio.
    sample_rate: int


class SpokenWord(msgspec.Struct, frozen=True):
    """A word, unchanged from the text, and its start and end in seconds of the audio."""

    index: int
    word: str
    start: float
    end: float


def encode_frame(kind: Kind, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def encode_line(utterance: Utterance) -> bytes:
    """Return a line of JSON; a lone surrogate, which UTF-8 cannot carry, becomes a question mark."""
    text = utterance.text.encode("utf-8", "replace").decode()
    return msgspec.json.encode(msgspec.structs.replace(utterance, text=text)) + b"\n"
