"""Live text on a line: its pieces as the messages of one context, and when its speech is whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.asked import FELL_SILENT, Asked
from edgevoice_plugins.lightning.line import LineLost
from edgevoice_plugins.lightning.protocol.reply import Chunk, Complete
from edgevoice_plugins.lightning.protocol.request import piece_message
from edgevoice_plugins.lightning.samples import FIRST, SILENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from edgevoice_plugins.lightning.line import Line
    from edgevoice_plugins.lightning.protocol.reply import Reply
    from edgevoice_plugins.lightning.samples import Speech

BUFFER_DELAY_MS = 1000
"""Longest that the server waits for the end of a sentence; a sender who falls silent is heard by then."""
QUIET = 0.6
"""Seconds without a frame after which the speech counts as whole: no frame says so."""
LATE_QUIET = 2.0
"""The same while there is less audio than the text takes to say: a segment is still to come."""
FASTEST = 20
"""Characters a second that speech rarely exceeds at speed 1."""


class Continuation(Asked):
    """One context: the text as it arrives, and what is known of the segments that the server makes of it.

    The line is not used again: a segment that comes later than thought would be heard in the next
    announcement.
    """

    def __init__(self, pieces: AsyncIterator[str], body: dict[str, Any], speech: Speech) -> None:
        super().__init__()
        self._pieces = pieces
        self._body = body | {"max_buffer_delay_ms": BUFFER_DELAY_MS}
        self._speech = speech
        self._text = ""
        self._ended = False
        self._more = asyncio.Event()
        self._segments: set[str | None] = set()
        self._completes = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        self._collecting = asyncio.create_task(self._collect(), name="lightning live text")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._collecting.cancel()
        await asyncio.wait({self._collecting})

    async def send(self, line: Line) -> None:
        """Send each piece verbatim as it arrives, a blank one with the next, then the closing message."""
        try:
            await self._send(line)
        except LineLost:
            return
        self._closed = True
        self._since = asyncio.get_running_loop().time()
        self.over = not self._text.strip()
        await line.nudge()

    def hears(self, reply: Reply | None) -> None:
        super().hears(reply)
        match reply:
            case Chunk(request_id=segment):
                self._segments.add(segment)
            case Complete(request_id=segment):
                self._segments.discard(segment)
                self._completes += 1

    def patience(self) -> float | None:
        if self._segments:
            return self.remaining(SILENCE)
        if not self._closed:
            return None  # the server may have nothing to say yet, and how long to wait for text is its reader's care
        if not self._completes:
            return self.remaining(FIRST)
        # A sign of life begins the quiet anew, but not for ever.
        return min(QUIET if self._is_plausible() else LATE_QUIET, self.remaining(SILENCE))

    def fell_silent(self) -> None:
        if self._segments or not self._completes:
            raise TransportError(FELL_SILENT)
        self._collecting.result()
        self.over = True

    def _is_plausible(self) -> bool:
        fastest = FASTEST * float(self._body["speed"])
        return self._speech.seconds * fastest >= len(self._text.strip())

    async def _send(self, line: Line) -> None:
        context_id, sent = uuid4().hex, 0
        while True:
            self._more.clear()
            if (piece := self._text[sent:]).strip():
                await line.send(piece_message(self._body, piece, context_id=context_id, more=True))
                sent += len(piece)
            elif self._ended:
                break
            else:
                await self._more.wait()
        if sent:
            await line.send(piece_message(self._body, "", context_id=context_id, more=False))

    async def _collect(self) -> None:
        # Kept whole, so that it can be said again where the line turns out to be dead.
        try:
            async for piece in self._pieces:
                self._text += piece
                self._more.set()
        finally:
            self._ended = True
            self._more.set()
