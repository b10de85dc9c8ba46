"""Text that is still arriving: kept whole, so that any number of readers and retries can read it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from edgevoice.text.sentences import first_sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

MAX_LIVE_CHARS = 200_000
"""Characters of one live text: about three and a half hours of speech."""


class LiveText:
    """The pieces of one live text, joined verbatim, until `end`."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False
        self.warnings: tuple[str, ...] = ()
        self._more = asyncio.Event()
        self._seen: deque[Hashable] = deque(maxlen=256)

    def add(self, piece: str, delivery: Hashable = None, *, redelivered: bool = False) -> bool:
        """Append a piece; False if this very delivery was appended before, or the text has ended."""
        if self.ended or (redelivered and delivery is not None and (delivery, piece) in self._seen):
            return False
        if delivery is not None:
            self._seen.append((delivery, piece))
        self.text += piece
        self._wake()
        return True

    def end(self) -> None:
        """No more will come."""
        self.ended = True
        self._wake()

    async def wait_past(self, position: int) -> bool:
        """Wait until there is something to say after `position`; False if there never will be."""
        while not self.text[position:].strip():
            if self.ended:
                return False
            await self._changed()
        return True

    async def chunks(self, start: int, idle: float) -> AsyncIterator[str]:
        """Yield what follows `start` as it arrives, until the end or `idle` seconds of silence."""
        position = start
        while True:
            if position < len(self.text):
                piece = self.text[position:]
                position = len(self.text)
                yield piece
            elif self.ended or not await self._changes_within(idle):
                return

    async def sentence(self, start: int, idle: float, most: int) -> int:
        """Wait for a whole sentence after `start`; return where it ends.

        A sentence that is longer than `most` characters is cut; one whose sender falls silent for
        `idle` seconds, or ends, counts as whole.
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
        # Every reader that waits holds the old event; a new one is for those who come back.
        self._more.set()
        self._more = asyncio.Event()
