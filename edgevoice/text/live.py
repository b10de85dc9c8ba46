"""Live text: text that is still arriving, kept whole, so that any number of readers and retries can read it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from edgevoice.text.sentences import first_sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

#: About three and a half hours of speech.
MAX_LIVE_CHARS = 200_000
#: Deliveries that are remembered, to drop repeated ones.
MAX_DELIVERIES = 256


class LiveText:
    """The chunks of one live text, joined verbatim, until `end`."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False
        self.warnings: tuple[str, ...] = ()
        self._more = asyncio.Event()
        self._seen: deque[Hashable] = deque(maxlen=MAX_DELIVERIES)

    def add(self, chunk: str, delivery: Hashable = None, *, redelivered: bool = False) -> bool:
        """Append a chunk. Returns False if this delivery was appended before, or the text has ended."""
        if self.ended or (redelivered and delivery is not None and (delivery, chunk) in self._seen):
            return False
        if delivery is not None:
            self._seen.append((delivery, chunk))
        self.text += chunk
        self._wake()
        return True

    def warn(self, sentence: str) -> None:
        """Add a warning to the announcement's outcome."""
        self.warnings = (*self.warnings, sentence)

    def end(self) -> None:
        """Mark the text as complete."""
        self.ended = True
        self._wake()

    async def wait_past(self, position: int) -> bool:
        """Wait for text after `position` that is not white space. Returns False if the text ends without it."""
        while not self.text[position:].strip():
            if self.ended:
                return False
            await self._changed()
        return True

    async def chunks(self, start: int, idle: float) -> AsyncIterator[str]:
        """Yield the text after `start` as it arrives, until its end or `idle` seconds without any."""
        position = start
        while True:
            if position < len(self.text):
                chunk = self.text[position:]
                position = len(self.text)
                yield chunk
            elif self.ended or not await self._changes_within(idle):
                return

    async def sentence(self, start: int, idle: float, most: int) -> int:
        """Wait for a whole sentence after `start` and return its end offset.

        A sentence longer than `most` characters is cut. The rest counts as whole when the text ends, or
        when nothing arrives for `idle` seconds.
        """
        while True:
            end = first_sentence(self.text[start:], most, ended=self.ended)
            if end:
                return start + end
            if self.ended or not await self._changes_within(idle):
                return len(self.text)

    async def _changes_within(self, idle: float) -> bool:
        try:
            async with asyncio.timeout(idle):
                await self._changed()
        except TimeoutError:
            return False
        return True

    async def _changed(self) -> None:
        await self._more.wait()

    def _wake(self) -> None:
        # Waiting readers hold the old event; readers that come back get the new one.
        self._more.set()
        self._more = asyncio.Event()
