"""Live texts that are arriving, by id: joins their pieces, and ends those whose sender died."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgevoice.errors import InvalidAnnouncement
from edgevoice.intake.payload import (
    MAX_TEXT_CHARS,
    ParsedPayload,
    check_characters,
    decode_utf8,
    has_only_options,
    is_object,
    parse_options,
)
from edgevoice.text.live import MAX_LIVE_CHARS, LiveText
from edgevoice.text.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.announcement import Announcement
    from edgevoice.commands import LiveChunk
    from edgevoice.intake.payload import Known

SENDER_TIMEOUT_S = 30.0
"""Seconds without a piece after which the sender counts as dead, and what it said as all."""
MAX_OPEN = 64
MAX_ENDED = 1000


class AcceptLive(Protocol):
    """Takes on a live text as an announcement."""

    def __call__(
        self, command: LiveChunk, values: Mapping[str, Any], warnings: tuple[str, ...], live: LiveText
    ) -> Announcement: ...


@dataclass(slots=True)
class _Stream:
    live: LiveText
    timer: asyncio.TimerHandle


class LiveStreams:
    """The live texts of this node."""

    def __init__(self, accept: AcceptLive, known: Known) -> None:
        self._known = known
        self._accept = accept
        self._open: dict[tuple[str, str], _Stream] = {}
        self._ended: OrderedDict[tuple[str, str], None] = OrderedDict()

    def append(self, piece: LiveChunk) -> None:
        """Append a piece to its text; the first one begins it.

        Raises:
            Refused: the text has ended, the id or the piece is not allowed, or too many are open.
        """
        key = (piece.target, piece.id)
        if key in self._ended:
            if piece.redelivered:
                return
            raise InvalidAnnouncement("this live text has ended", key="id", allowed="a new id")
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

    def _begin(self, key: tuple[str, str], piece: LiveChunk, options: ParsedPayload) -> _Stream:
        if len(self._open) >= MAX_OPEN:
            raise InvalidAnnouncement(
                f"{MAX_OPEN} live texts are open", key="id", allowed="end one of them first"
            )
        values = {**options.values, **parse_options({"id": piece.id}).values}
        live = LiveText()
        self._accept(piece, values, options.warnings, live)
        stream = self._open[key] = _Stream(live, self._watch(key))
        return stream

    def _append(self, stream: _Stream, piece: LiveChunk, text: str) -> None:
        if len(stream.live.text) + len(text) > MAX_LIVE_CHARS:
            raise InvalidAnnouncement(
                "this live text is too long", key="text", allowed=f"{MAX_LIVE_CHARS} characters in all"
            )
        if text:
            stream.live.add(text, piece.delivery, redelivered=piece.redelivered)

    def _watch(self, key: tuple[str, str]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(SENDER_TIMEOUT_S, self._sender_died, key)

    def _sender_died(self, key: tuple[str, str]) -> None:
        stream = self._open[key]
        stream.live.warnings += (
            f"its sender never ended it; {SENDER_TIMEOUT_S:g} s without a piece counted as the end",
        )
        self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        stream = self._open.pop(key)
        stream.timer.cancel()
        stream.live.end()
        self._ended[key] = None
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)


def _read(piece: LiveChunk, known: Known) -> tuple[ParsedPayload, str, bool]:
    """The options, the text, and whether it is the last."""
    if not piece.payload:
        return ParsedPayload({}), "", True
    text = decode_utf8(piece.payload)
    if not is_object(text) or not (piece.is_json or has_only_options(text)):
        return ParsedPayload({}), _checked(text), False
    keys = parse_object(text)
    ends, said = keys.pop("end", False), keys.pop("text", "")
    if not isinstance(ends, bool):
        raise InvalidAnnouncement("has to be true or false", key="end", allowed="true or false")
    if not isinstance(said, str):
        raise InvalidAnnouncement("has to be a string", key="text", allowed="the next piece of the text")
    return parse_options(keys, known), _checked(said), ends


def _checked(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidAnnouncement(
            f"{len(text)} characters", key="text", allowed=f"at most {MAX_TEXT_CHARS} in one piece"
        )
    check_characters(text)
    return text
