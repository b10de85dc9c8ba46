"""Live texts that are arriving, by id: joins their pieces, and ends those whose sender died."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgevoice.errors import Refused
from edgevoice.intake.payload import (
    LONGEST_TEXT,
    Reading,
    check_characters,
    decode_utf8,
    is_object,
    is_options,
    read_keys,
)
from edgevoice.intake.strict_json import parse_object
from edgevoice.synthesis.live import LONGEST, LiveText

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.announcement import Announcement
    from edgevoice.commands import Piece
    from edgevoice.intake.payload import Known

SENDER_DEAD = 30.0
"""Seconds without a piece after which the sender counts as dead, and what it said as all."""
MOST_OPEN = 64
MOST_ENDED = 1000


class Accept(Protocol):
    """Takes on a live text as an announcement."""

    def __call__(
        self, command: Piece, values: Mapping[str, Any], warnings: tuple[str, ...], live: LiveText
    ) -> Announcement: ...


@dataclass(slots=True)
class _Stream:
    live: LiveText
    timer: asyncio.TimerHandle


class Streams:
    """The live texts of this node."""

    def __init__(self, accept: Accept, known: Known) -> None:
        self._known = known
        self._accept = accept
        self._open: dict[tuple[str, str], _Stream] = {}
        self._ended: OrderedDict[tuple[str, str], None] = OrderedDict()

    def take(self, piece: Piece) -> None:
        """Append a piece to its text; the first one begins it.

        Raises:
            Refused: the text has ended, the id or the piece is not allowed, or too many are open.
        """
        key = (piece.target, piece.id)
        if key in self._ended:
            if piece.redelivered:
                return
            raise Refused("this live text has ended", key="id", allowed="a new id")
        options, text, ends = _read(piece, self._known)
        stream = self._open.get(key)
        if stream is None and not text and ends and not options.values:
            return  # the end of nothing
        if stream is None:
            stream = self._begin(key, piece, options)
        self._append(stream, piece, text)
        if ends:
            self._end(key)
        else:
            stream.timer.cancel()
            stream.timer = self._watch(key)

    def close(self) -> None:
        """End all that are open."""
        for key in list(self._open):
            self._end(key)

    def _begin(self, key: tuple[str, str], piece: Piece, options: Reading) -> _Stream:
        if len(self._open) >= MOST_OPEN:
            raise Refused(f"{MOST_OPEN} live texts are open", key="id", allowed="end one of them first")
        values = {**options.values, **read_keys({"id": piece.id}).values}
        live = LiveText()
        self._accept(piece, values, options.warnings, live)
        stream = self._open[key] = _Stream(live, self._watch(key))
        return stream

    def _append(self, stream: _Stream, piece: Piece, text: str) -> None:
        if len(stream.live.text) + len(text) > LONGEST:
            raise Refused("this live text is too long", key="text", allowed=f"{LONGEST} characters in all")
        if text:
            stream.live.add(text, piece.delivery, redelivered=piece.redelivered)

    def _watch(self, key: tuple[str, str]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(SENDER_DEAD, self._sender_died, key)

    def _sender_died(self, key: tuple[str, str]) -> None:
        stream = self._open[key]
        stream.live.warnings += (
            f"its sender never ended it; {SENDER_DEAD:g} s without a piece counted as the end",
        )
        self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        stream = self._open.pop(key)
        stream.timer.cancel()
        stream.live.end()
        self._ended[key] = None
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)


def _read(piece: Piece, known: Known) -> tuple[Reading, str, bool]:
    """The options, the text, and whether it is the last."""
    if not piece.payload:
        return Reading({}), "", True
    text = decode_utf8(piece.payload)
    if not is_object(text) or not (piece.is_json or is_options(text)):
        return Reading({}), _checked(text), False
    keys = parse_object(text)
    ends, said = keys.pop("end", False), keys.pop("text", "")
    if not isinstance(ends, bool):
        raise Refused("has to be true or false", key="end", allowed="true or false")
    if not isinstance(said, str):
        raise Refused("has to be a string", key="text", allowed="the next piece of the text")
    return read_keys(keys, known), _checked(said), ends


def _checked(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise Refused(f"{len(text)} characters", key="text", allowed=f"at most {LONGEST_TEXT} in one piece")
    check_characters(text)
    return text
