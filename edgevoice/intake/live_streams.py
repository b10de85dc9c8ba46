"""Live texts that are still arriving, by target and id: joins their chunks, and ends those whose sender died."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.errors import InvalidAnnouncement
from edgevoice.intake.payload import (
    ParsedPayload,
    decode_utf8,
    has_only_options,
    is_object,
    normalize_keys,
    parse_object,
    parse_options,
)
from edgevoice.text.checks import MAX_TEXT_CHARS, check_characters, replace_invalid_characters
from edgevoice.text.live import MAX_LIVE_CHARS, LiveText

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.commands import LiveChunk
    from edgevoice.intake.payload import Known

#: Without a chunk for this long the sender counts as dead, and the text as complete.
SENDER_TIMEOUT_S = 30.0
MAX_OPEN = 64
#: Ids of ended texts that are remembered: a further chunk of them is rejected.
MAX_ENDED = 1000


@dataclass(slots=True)
class _Stream:
    live: LiveText
    is_critical: bool
    timer: asyncio.TimerHandle


class LiveStreams:
    """The live texts of this node."""

    def __init__(self, accept: Callable[[LiveChunk, ParsedPayload, LiveText], None], known: Known) -> None:
        self._accept = accept
        self._known = known
        self._open: dict[tuple[str, str], _Stream] = {}
        #: The texts that have ended lately; the first is the oldest.
        self._ended: dict[tuple[str, str], None] = {}

    def append(self, chunk: LiveChunk) -> None:
        """Append a chunk to its text. The first chunk starts the announcement.

        Raises:
            InvalidAnnouncement: the text has ended, the id or the chunk is invalid, or too many are open.
        """
        key = (chunk.target, chunk.id)
        if key in self._ended:
            if chunk.redelivered:
                return
            raise InvalidAnnouncement("this live text has ended", key="id", allowed="a new id")
        options, text, is_last = _parse(chunk, self._known)
        stream = self._open.get(key)
        if stream is None and not text and is_last and not options.values:
            return  # end marker of an unknown text
        urgency = options.values.get("urgency")
        text = _checked(text, is_critical=stream.is_critical if stream else urgency is Urgency.CRITICAL)
        stream = stream or self._start(key, chunk, options)
        if len(stream.live.text) + len(text) > MAX_LIVE_CHARS:
            allowed = f"{MAX_LIVE_CHARS} characters in all"
            raise InvalidAnnouncement("this live text is too long", key="text", allowed=allowed)
        if text:
            stream.live.add(text, chunk.delivery, redelivered=chunk.redelivered)
        if is_last:
            self._end(key)
        else:
            stream.timer.cancel()
            stream.timer = self._start_timer(key)

    def close(self) -> None:
        """End all open texts."""
        for key in list(self._open):
            self._end(key)

    def _start(self, key: tuple[str, str], chunk: LiveChunk, options: ParsedPayload) -> _Stream:
        if len(self._open) >= MAX_OPEN:
            allowed = "end one of them first"
            raise InvalidAnnouncement(f"{MAX_OPEN} live texts are open", key="id", allowed=allowed)
        values = {**options.values, **parse_options({"id": chunk.id}).values}
        live = LiveText()
        self._accept(chunk, ParsedPayload(values, options.warnings), live)
        is_critical = values.get("urgency") is Urgency.CRITICAL
        stream = self._open[key] = _Stream(live, is_critical, self._start_timer(key))
        return stream

    def _start_timer(self, key: tuple[str, str]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(SENDER_TIMEOUT_S, self._on_timeout, key)

    def _on_timeout(self, key: tuple[str, str]) -> None:
        self._open[key].live.warn(
            f"the sender did not end this text; it counted as complete {SENDER_TIMEOUT_S:g} s after its last chunk"
        )
        self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        stream = self._open.pop(key)
        stream.timer.cancel()
        stream.live.end()
        self._ended[key] = None
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]


def _parse(chunk: LiveChunk, known: Known) -> tuple[ParsedPayload, str, bool]:
    """Return the options, the text, and whether the chunk is the last."""
    if not chunk.payload:
        return ParsedPayload(), "", True
    text = decode_utf8(chunk.payload)
    if not is_object(text) or not (chunk.is_json or has_only_options(text)):
        return ParsedPayload(), text, False
    keys = parse_object(text)
    is_last, text = keys.pop("end", False), keys.pop("text", "")
    if not isinstance(is_last, bool):
        raise InvalidAnnouncement("must be true or false", key="end", allowed="true or false")
    if not isinstance(text, str):
        raise InvalidAnnouncement("must be a string", key="text", allowed="the next chunk of the text")
    return parse_options(normalize_keys(keys), known), text, is_last


def _checked(text: str, *, is_critical: bool) -> str:
    """Return a chunk's text, verbatim; a critical one with spaces for what cannot be spoken."""
    if len(text) > MAX_TEXT_CHARS:
        allowed = f"at most {MAX_TEXT_CHARS} in one chunk"
        raise InvalidAnnouncement(f"{len(text)} characters", key="text", allowed=allowed)
    if is_critical:
        return replace_invalid_characters(text)
    check_characters(text)
    return text
