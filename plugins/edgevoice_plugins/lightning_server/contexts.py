"""What one socket's messages come to: which texts are to be spoken, when, and which no longer.

Knows nothing of sockets. The vendor's three ways to send text (API reference): a whole one, pieces that
are joined until `flush` or `continue: false`, and pieces of a `context_id` that are spoken as sentences
become whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.text.sentences import sentence_ends, split
from edgevoice_plugins.lightning.protocol.request import BadRequestError, WireRequest, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Set

SEGMENT = 250
"""Characters of one segment of a continuation at most (the vendor's advice for one request)."""
LEAST = 4
"""Characters below which a sentence waits for more: "1." may be the head of a list item."""
LONGEST = 8000
"""Characters of one request at most, where no lower limit is set."""
MOST_CONTEXTS = 100
"""Contexts with text in them, on one socket."""
_SENTENCE_SO_FAR = re.compile(r"[.?!…]+[\"'”’»)\]]*$")


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A text to be spoken as one synthesis, as `request` asks for it."""

    text: str
    request: WireRequest


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nothing more of this context is to be spoken, also of what was released before."""

    context_id: str | None


@dataclass(slots=True)
class _Buffer:
    """Pieces that are not spoken yet; `due` is when they are at the latest, in seconds of the clock."""

    request: WireRequest
    due: float | None
    text: str = ""


@dataclass(slots=True)
class Conversation:
    """The texts of one socket. `max_chars` is the most that one request may have."""

    max_chars: int
    clock: Callable[[], float]
    _buffers: dict[str | None, _Buffer] = field(default_factory=dict)

    @property
    def due(self) -> float | None:
        """When `overdue` has something to release."""
        return min((buffer.due for buffer in self._buffers.values() if buffer.due is not None), default=None)

    def take(self, message: object) -> list[Segment | Cancelled]:
        """Take a message and give what is to be done now, in order.

        Raises:
            BadRequestError: for a message that cannot be served; what was buffered before stays.
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
        """Give the texts that have waited for as long as they may."""
        now = self.clock()
        late = [key for key, buffer in self._buffers.items() if buffer.due is not None and buffer.due <= now]
        return [segment for key in late for segment in self._release(key)]

    def _continued(self, request: WireRequest) -> list[Segment]:
        key = request.context_id
        buffer = self._add(request, request.text, request.max_buffer_delay_ms)
        if request.context_close or not request.more:
            return self._release(key)
        whole, rest = _cut(buffer.text, self._segment)
        if whole:
            del self._buffers[key]
            if rest.strip():
                self._add(request, rest, request.max_buffer_delay_ms)
        return [Segment(part, buffer.request) for part in whole] or self.overdue()

    def _plain(self, request: WireRequest, *, closes: bool) -> list[Segment]:
        if not request.text.strip() and not closes:
            return []  # a lone blank keeps the socket open, and says nothing
        buffer = self._add(request, request.text, request.max_buffer_flush_ms or None)
        if len(buffer.text) > self.max_chars:
            del self._buffers[None]
            raise BadRequestError(
                f"the pieces have over {self.max_chars} characters together; flush them earlier"
            )
        return self._release(None) if request.flush or not request.more else []

    def _add(self, request: WireRequest, text: str, delay_ms: int | None) -> _Buffer:
        key = request.context_id
        buffer = self._buffers.get(key)
        if buffer is None:
            if len(self._buffers) >= MOST_CONTEXTS:
                raise BadRequestError(
                    f"more than {MOST_CONTEXTS} contexts hold text on this connection; close some"
                )
            due = None if delay_ms is None else self.clock() + delay_ms / 1000
            buffer = self._buffers[key] = _Buffer(request, due)
        if text.strip():
            buffer.request = request  # a closing message often leaves out what the pieces said
        buffer.text = buffer.text + text if key is None else joined(buffer.text, text)
        return buffer

    def _release(self, key: str | None) -> list[Segment]:
        buffer = self._buffers.pop(key)
        if not buffer.text.strip():
            return []
        parts = [buffer.text] if key is None else split(buffer.text, self._segment)
        return [Segment(part, buffer.request) for part in parts]

    @property
    def _segment(self) -> int:
        return min(SEGMENT, self.max_chars)


def joined(before: str, piece: str) -> str:
    """Join two pieces of a continuation.

    Verbatim, since tokens may split a word; but between two sentences that were sent without the space
    that belongs there, it is put in.
    """
    end = _SENTENCE_SO_FAR.search(before)
    if end is None or not piece or not (piece[0].isalnum() or piece[0] in "\"'“‘«(["):
        return before + piece
    goes_on = piece[0].islower() or (piece[0].isdigit() and before[: end.start()][-1:].isdigit())
    return before + piece if goes_on else f"{before} {piece}"


def _cut(text: str, most: int) -> tuple[list[str], str]:
    """What may be spoken of a text that is still arriving, in segments, and what has to wait."""
    ends = [end for end in sentence_ends(text) if _is_whole(text, end)]
    end = ends[-1] if ends else 0
    while end < len(text) and end and text[end].isspace():
        end += 1
    rest = text[end:]
    whole = split(text[:end], most)
    if len(rest) > most:
        *more, rest = split(rest, most)
        whole += more
    return whole, rest


def _is_whole(text: str, end: int) -> bool:
    """Whether the sentence that ends here is one, and long enough; "3." at the end may become "3.5"."""
    if len(text[:end].strip()) < LEAST:
        return False
    return end < len(text) or not re.search(r"\d\.$", text[:end])


def _check(request: WireRequest, keys: Set[str]) -> None:
    """Refuse what needs a text or a voice and has none, and what cannot be said together."""
    if request.context_id is not None and (request.flush or request.max_buffer_flush_ms):
        raise BadRequestError("flush and max_buffer_flush_ms belong to requests without context_id")
    if not keys & {"text", "context_id", "flush", "cancel_request"}:
        raise BadRequestError("text is required")
    if request.text.strip() and not request.voice_id:
        raise BadRequestError("voice_id is required")
