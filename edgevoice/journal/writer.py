"""Writes the journal behind the event loop: in order, one sync for all who wait, rewritten when it has grown."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgevoice.journal.file import JournalFile

LARGEST = 1024 * 1024
"""Bytes to which the file grows before it is rewritten; more only where twice what is alive is more."""
RETRY = 5.0
"""Seconds after which a rewrite that failed is tried again; doubled each time, up to `LONGEST_RETRY`."""
LONGEST_RETRY = 300.0


class JournalWriter:
    """Nothing here raises for the disk: `fault` is given a sentence, and None when all is written again.

    `alive` gives the objects of which the file consists when it is rewritten; it is called in the event
    loop, what it gives is read in a thread. A line that could not be written needs such a rewrite.
    """

    def __init__(
        self, file: JournalFile, alive: Callable[[], Iterable[bytes]], fault: Callable[[str | None], None]
    ) -> None:
        self.behind = False
        self._file = file
        self._alive = alive
        self._fault = fault
        self._loop = asyncio.get_running_loop()
        # Of two threads, so that what ended is written while what was accepted is being synced.
        self._writer = ThreadPoolExecutor(1, "journal")
        self._syncer = ThreadPoolExecutor(1, "journal-sync")
        self._syncing = asyncio.Lock()
        self._last: Future[None] | None = None
        self._number = self._synced = 0
        self._size = 0
        self._limit = LARGEST
        self._rewriting: Future[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._pause = RETRY
        self._purge = False
        self._closed = False

    def begin(self, size: int) -> None:
        """Go on with a file of so many bytes."""
        self._size = size

    def put(self, lines: bytes, *, purge: bool = False) -> None:
        """Have whole lines handed to the operating system after those before.

        With `purge`, what they end must not stay in the file until it has grown.
        """
        self._purge |= purge
        self._number += 1
        self._size += len(lines)
        self._last = self._writer.submit(self._append, lines)
        if (self._purge or self._size > self._limit) and not self.behind:
            self._rewrite()

    async def durable(self) -> None:
        """Return when all that was put so far is on the disk, or cannot be."""
        mine = self._number
        async with self._syncing:
            if self._synced < mine:
                await self._sync()
        if self.behind and self._rewriting is not None:
            await _unharmed(self._rewriting)

    async def written(self) -> None:
        """Return when all that was put so far is with the operating system, or cannot be."""
        if self._last is not None:
            await _unharmed(self._last)

    async def rewrite(self) -> None:
        """Return when what is alive has taken the place of the file, or cannot."""
        self._rewrite()
        await self.written()

    async def close(self) -> None:
        """Write what is left, and end the threads."""
        await self.written()
        if self.behind:
            await self.rewrite()
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        await asyncio.to_thread(self._shut_down)

    def _append(self, lines: bytes) -> None:
        try:
            self._file.append(lines)
        except OSError as error:
            self._loop.call_soon_threadsafe(self._broke, error)

    async def _sync(self) -> None:
        upto, last = self._number, self._last
        failed = await asyncio.shield(self._loop.run_in_executor(self._syncer, self._sync_after, last))
        self._synced = upto
        if failed is not None:
            self._broke(failed)
        elif not self.behind:
            self._fault(None)

    def _sync_after(self, last: Future[None] | None) -> OSError | None:
        if last is not None:
            last.result()
        try:
            self._file.sync()
        except OSError as error:
            return error
        return None

    def _broke(self, error: OSError) -> None:
        """A line is not in the file: a rewrite alone brings it there, at once, and again after ever longer."""
        self._fault(self.sentence(error))
        if not self.behind:
            self.behind = True
            self._rewrite()

    def _rewrite(self) -> None:
        if self._rewriting is None and not self._closed:
            self._last = self._rewriting = self._writer.submit(self._replace, self._alive())
            self._size, self._purge = 0, False

    def _replace(self, alive: Iterable[bytes]) -> None:
        try:
            size: int | OSError = self._file.replace(alive)
        except OSError as error:
            size = error
        self._loop.call_soon_threadsafe(self._replaced, size)

    def _replaced(self, size: int | OSError) -> None:
        self._rewriting = None
        if isinstance(size, OSError):
            self.behind = True
            self._fault(self.sentence(size))
            self._retry = self._loop.call_later(self._pause, self._rewrite)
            self._pause = min(self._pause * 2, LONGEST_RETRY)
            return
        if self.behind:
            self._fault(None)
        self.behind, self._pause = False, RETRY
        self._size += size
        self._limit = max(LARGEST, size * 2)
        if self._purge:
            self._rewrite()

    def sentence(self, error: OSError) -> str:
        """What a user is told about it."""
        why = error.strerror or str(error)
        return f"{self._file.path}: {why}; what is waiting may not be known after a restart"

    def _shut_down(self) -> None:
        self._writer.shutdown()
        self._syncer.shutdown()


async def _unharmed(future: Future[None]) -> None:
    """Wait for work in a thread, which goes on if the waiting is cancelled."""
    await asyncio.shield(asyncio.wrap_future(future))
