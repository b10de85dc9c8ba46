"""The texts of one WebSocket: which to speak, when, and which to cancel. No sockets.

The vendor has three ways to send text (API reference): a whole text; chunks that are joined until `flush`
or `continue: false`; and chunks of a `context_id`, which are spoken as sentences become complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice import sentence_ends, split_sentences
from edgevoice_plugins.lightning.protocol.request import BadRequestError, WireRequest, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Set

#: Characters of one segment of a context (the vendor's advice for one request).
MAX_SEGMENT_CHARS = 250
#: A shorter sentence waits for more text: "1." may begin a list item.
MIN_SENTENCE_CHARS = 4
#: Contexts of one socket that hold text.
MAX_CONTEXTS = 100
_SENTENCE_SO_FAR = re.compile(r"[.?!…]+[\"'”’»)\]]*$")


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A text that is one synthesis, spoken as `request` asks."""

    text: str
    request: WireRequest


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The server must drop the segments of this context, also those returned before."""

    context_id: str | None


@dataclass(slots=True)
class _Buffer:
    """Text that is not spoken yet."""

    request: WireRequest
    #: When to speak it at the latest, in seconds of the clock.
    due_at: float | None
    text: str = ""


@dataclass(slots=True)
class TextContexts:
    """The texts of one socket. A request may have `max_chars` characters."""

    max_chars: int
    clock: Callable[[], float]
    _buffers: dict[str | None, _Buffer] = field(default_factory=dict)

    @property
    def due_at(self) -> float | None:
        """When `overdue` returns something."""
        return min(
            (buffer.due_at for buffer in self._buffers.values() if buffer.due_at is not None), default=None
        )

    def handle(self, message: object) -> list[Segment | Cancelled]:
        """Handle a message; return what to do now, in order.

        Raises:
            BadRequestError: the message cannot be served; text that was buffered before stays.
        """
        request = read_request(message, max_chars=self.max_chars)
        keys = message.keys() if isinstance(message, dict) else set[str]()
        _check(request, keys)
        done: list[Segment | Cancelled] = []
        if request.cancel_request:
            self._buffers.pop(request.context_id, None)
            done.append(Cancelled(request.context_id))
            if not request.text.strip():
                return done
        if request.context_id is not None:
            return [*done, *self._continued(request)]
        return [*done, *self._plain(request, closes=request.flush or "continue" in keys)]

    def overdue(self) -> list[Segment]:
        """Return the texts that have waited for as long as they may."""
        now = self.clock()
        late = [
            key for key, buffer in self._buffers.items() if buffer.due_at is not None and buffer.due_at <= now
        ]
        return [segment for key in late for segment in self._release(key)]

    def _continued(self, request: WireRequest) -> list[Segment]:
        key = request.context_id
        buffer = self._add(request, request.text, request.max_buffer_delay_ms)
        if request.context_close or not request.more:
            return self._release(key)
        whole, rest = _cut(buffer.text, self._max_chars_per_segment)
        if whole:
            del self._buffers[key]
            if rest.strip():
                self._add(request, rest, request.max_buffer_delay_ms)
        return [Segment(part, buffer.request) for part in whole] or self.overdue()

    def _plain(self, request: WireRequest, *, closes: bool) -> list[Segment]:
        if not request.text.strip() and not closes:
            return []  # a lone blank only keeps the socket open
        buffer = self._add(request, request.text, request.max_buffer_flush_ms or None)
        if len(buffer.text) > self.max_chars:
            del self._buffers[None]
            raise BadRequestError(
                f"the chunks have over {self.max_chars} characters together; flush them earlier"
            )
        return self._release(None) if request.flush or not request.more else []

    def _add(self, request: WireRequest, text: str, delay_ms: int | None) -> _Buffer:
        key = request.context_id
        buffer = self._buffers.get(key)
        if buffer is None:
            if len(self._buffers) >= MAX_CONTEXTS:
                raise BadRequestError(
                    f"more than {MAX_CONTEXTS} contexts hold text on this connection; close some"
                )
            due_at = None if delay_ms is None else self.clock() + delay_ms / 1000
            buffer = self._buffers[key] = _Buffer(request, due_at)
        if text.strip():
            buffer.request = request  # a closing message often leaves out the voice and the rate
        buffer.text = buffer.text + text if key is None else join_chunks(buffer.text, text)
        return buffer

    def _release(self, key: str | None) -> list[Segment]:
        buffer = self._buffers.pop(key)
        if not buffer.text.strip():
            return []
        parts = [buffer.text] if key is None else split_sentences(buffer.text, self._max_chars_per_segment)
        return [Segment(part, buffer.request) for part in parts]

    @property
    def _max_chars_per_segment(self) -> int:
        return min(MAX_SEGMENT_CHARS, self.max_chars)


def join_chunks(before: str, piece: str) -> str:
    """Join two chunks of a context.

    Verbatim, since tokens may split a word; but a space is inserted between two sentences that were sent
    without one.
    """
    end = _SENTENCE_SO_FAR.search(before)
    if end is None or not piece or not (piece[0].isalnum() or piece[0] in "\"'“‘«(["):
        return before + piece
    continues = piece[0].islower() or (piece[0].isdigit() and before[: end.start()][-1:].isdigit())
    return before + piece if continues else f"{before} {piece}"


def _cut(text: str, most: int) -> tuple[list[str], str]:
    """Split a text that is still arriving into segments to speak now, and the rest that waits."""
    ends = [end for end in sentence_ends(text) if _is_whole(text, end)]
    end = ends[-1] if ends else 0
    while end < len(text) and end and text[end].isspace():
        end += 1
    rest = text[end:]
    whole = split_sentences(text[:end], most)
    if len(rest) > most:
        *more, rest = split_sentences(rest, most)
        whole += more
    return whole, rest


def _is_whole(text: str, end: int) -> bool:
    """Whether a sentence that is long enough ends here; "3." at the end may become "3.5"."""
    if len(text[:end].strip()) < MIN_SENTENCE_CHARS:
        return False
    return end < len(text) or not re.search(r"\d\.$", text[:end])


def _check(request: WireRequest, keys: Set[str]) -> None:
    """Refuse a message that lacks a text or a voice, or has keys that exclude each other."""
    if request.context_id is not None and (request.flush or request.max_buffer_flush_ms):
        raise BadRequestError("flush and max_buffer_flush_ms belong to requests without context_id")
    if not keys & {"text", "context_id", "flush", "cancel_request"}:
        raise BadRequestError("text is required")
    if request.text.strip() and not request.voice_id:
        raise BadRequestError("voice_id is required")
