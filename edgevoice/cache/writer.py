"""What changes on the disk of the cache: one clip at a time is written, and what has to go is removed."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING

from edgevoice.cache import disk
from edgevoice.cache.folder import size_on_disk
from edgevoice.intake.buckets import Rate, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from edgevoice.cache.folder import ClipFiles
    from edgevoice.cache.index import Index
    from edgevoice.synthesis.recording import PcmSnapshot

logger = logging.getLogger(__name__)

A_DAY = 256_000_000
"""Bytes written in a day at most, an hour and a half of speech: 0.9 TB in ten years, which an SD card bears."""
QUEUE = 8
"""Clips that may wait to be written, 256 KiB in memory each; one more is not kept."""
REST = 300.0
"""Seconds for which nothing is written after the disk refused."""


class Writer:
    """Keeps the folder as the index says. A disk that refuses harms nothing but the cache."""

    def __init__(self, folder: ClipFiles, index: Index, wall: Callable[[], float]) -> None:
        self._folder = folder
        self._index = index
        self._wall = wall
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._daily = TokenBucket(Rate(A_DAY / 1440, A_DAY), time.monotonic())
        self._rests_until = 0.0

    def put(self, name: str, rate: int, recording: PcmSnapshot) -> None:
        """Write a clip, if there may be room for it; what is less recently used goes."""
        if len(self._tasks) < QUEUE:
            self._begin(self._put(name, rate, recording))

    def remove(self, names: Sequence[str]) -> None:
        """Remove clips, which the index has no more."""
        if names:
            self._begin(self._remove(names))

    async def done(self) -> None:
        """Wait until all is as it was asked for."""
        await asyncio.gather(*self._tasks)

    def refused(self, error: OSError) -> None:
        """The disk refused: let it rest, and say so once."""
        if not self._rests_until:
            why = error.strerror or error
            logger.warning("nothing is kept in the cache: %s cannot be written (%s)", self._folder.path, why)
        self._rests_until = time.monotonic() + REST

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="cache")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put(self, name: str, rate: int, recording: PcmSnapshot) -> None:
        async with self._turn:
            now, size = time.monotonic(), size_on_disk(recording)
            if name in self._index or now < self._rests_until or not self._daily.can_take(now, size):
                return
            if (going := self._index.make_room(size)) is None:
                return
            self._daily.take(now, size)
            try:
                replacing = functools.partial(self._replace, going, name, rate, recording)
                await asyncio.wrap_future(disk.run_in_daemon_thread(replacing))
            except OSError as error:
                self.refused(error)
                return
            self._index.add(name, size, self._wall())
            if self._rests_until:
                self._rests_until = 0.0
                logger.info("the cache can be written again")

    async def _remove(self, names: Sequence[str]) -> None:
        async with self._turn:
            try:
                await asyncio.wrap_future(
                    disk.run_in_daemon_thread(functools.partial(self._folder.remove, names))
                )
            except OSError as error:
                self.refused(error)

    def _replace(self, going: Sequence[str], name: str, rate: int, recording: PcmSnapshot) -> None:
        self._folder.remove(going)
        self._folder.write(name, rate, recording)
