"""The cache: complete clips kept on the disk, so that what was said before needs no request."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from typing import TYPE_CHECKING, Any, Self

from edgevoice.cache import disk
from edgevoice.cache.folder import ClipFiles, CorruptClipError
from edgevoice.cache.index import DAY_S, Index
from edgevoice.cache.recipe import KeyScheme
from edgevoice.cache.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.config import Settings
    from edgevoice.config.options import CacheOptions
    from edgevoice.synthesis.clip import Clip
    from edgevoice.synthesis.recording import PcmSnapshot

logger = logging.getLogger(__name__)

BYTES_PER_MB = 1_000_000
DISK_TIMEOUT_S = 0.5
"""Seconds a clip may take to be opened; then it is asked for anew."""
CLOSE_TIMEOUT_S = 5.0
"""Seconds for which an end waits for the disk."""
EXPIRY_INTERVAL_S = 3600.0
"""Seconds between looks at what was not used for too long."""


class Cache:
    """Clips by the names of what they say.

    Use as `async with`, and `run` it beside: before, nothing is written, and each name is looked up on the
    disk. `hits` and `misses` count what was looked up since the start, `cleared` is set when all was thrown away.
    """

    def __init__(
        self, folder: Path, options: CacheOptions, recipe: KeyScheme, *, wall: Callable[[], float] = time.time
    ) -> None:
        self.hits = self.misses = 0
        self.cleared = asyncio.Event()
        self._options = options
        self._recipe = recipe
        self._wall = wall
        self._folder = ClipFiles(folder)
        self._index = Index(options.max_mb * BYTES_PER_MB, options.max_days * DAY_S)
        self._writer = Writer(self._folder, self._index, wall)
        self._known = asyncio.Event()
        self._overdue: Future[PcmSnapshot] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.written()

    def key(self, announcement: Announcement, text: str | None) -> str | None:
        """The name of the clip that says `text`; None if such a one is never kept."""
        return self._recipe.key(announcement, text) if self._options.enabled else None

    def contains(self, name: str | None) -> bool:
        """Whether there is a clip of that name."""
        if name is None:
            return False
        return name in self._index if self._known.is_set() else self._folder.has(name)

    async def load_into(self, clip: Clip, name: str | None) -> bool:
        """Fill an empty clip with the one that is kept; whether there is one."""
        if name is None:
            return False
        found = await self.open(name, clip.rate)
        if found is None:
            self.misses += 1
            return False
        self.hits += 1
        clip.adopt(found)
        return True

    async def open(self, name: str, rate: int) -> PcmSnapshot | None:
        """What is kept under a name; None if there is nothing, or nothing whole, or the disk hangs."""
        if (self._known.is_set() and name not in self._index) or self._hangs:
            return None
        due = self._index.use(name, self._wall())
        opening = disk.run_in_daemon_thread(functools.partial(self._folder.open, name, rate, note_use=due))
        try:
            async with asyncio.timeout(DISK_TIMEOUT_S):
                return await asyncio.wrap_future(opening)
        except CorruptClipError:
            logger.warning("the clip %s of the cache was damaged, and is made anew", name)
            self._index.discard(name)
        except FileNotFoundError:
            self._index.discard(name)
        except OSError as error:  # TimeoutError is one
            self._overdue = opening
            why = error.strerror or "the disk is too slow"
            logger.warning("the clip %s of the cache cannot be read: %s", name, why)
        return None

    @property
    def _hangs(self) -> bool:
        """Whether the disk has still not answered what it was given up for."""
        return self._overdue is not None and not self._overdue.done()

    def store(self, name: str | None, clip: Clip) -> None:
        """Keep a complete clip, which may be closed at once."""
        if name is not None and clip.complete and clip.frames and self._known.is_set():
            self._writer.put(name, clip.rate, clip.snapshot)

    async def is_whole(self, name: str) -> bool:
        """Whether there is a clip of that name without damage."""
        return await self.open(name, self._recipe.lightning.sample_rate) is not None

    async def known(self) -> None:
        """Wait until it is known what there is."""
        await self._known.wait()

    async def written(self) -> None:
        """Wait until the disk is as it is to be."""
        await self._writer.done()

    def pin(self, names: Iterable[str]) -> None:
        """Let these stay, however long they are not used."""
        self._index.pinned = frozenset(names)

    def clear(self) -> None:
        """Throw all clips away."""
        self._writer.remove(self._index.clear())
        self.cleared.set()

    @property
    def state(self) -> dict[str, Any]:
        """How much is kept, and how often that was of use since the start."""
        return {
            "enabled": self._options.enabled,
            "clips": len(self._index),
            "mb": round(self._index.size / BYTES_PER_MB, 1),
            "max_mb": self._options.max_mb,
            "hits": self.hits,
            "misses": self.misses,
        }

    async def run(self) -> None:
        """See what there is, then throw away what was not used for too long, for ever."""
        try:
            self._index.load(await asyncio.wrap_future(disk.run_in_daemon_thread(self._folder.scan)))
        except OSError as error:
            self._writer.refused(error)
        if not self._options.enabled:
            self.clear()
        self._known.set()
        told = self._wall()
        while self._options.enabled:
            self._writer.remove(self._index.expired(self._wall()))
            await asyncio.sleep(EXPIRY_INTERVAL_S)
            if self._wall() - told >= DAY_S:
                told = self._wall()
                logger.info("the cache: %s", describe(self.state))


def build_cache(settings: Settings, state_dir: Path, key: str | None) -> Cache:
    """The cache of these settings, which lies in the state folder."""
    return Cache(state_dir / "cache", settings.core.cache, KeyScheme.of(settings, key))


def describe(state: Mapping[str, Any]) -> str:
    """The state of a cache in a sentence."""
    count = state["clips"]
    kept = f"{count} clip{'s' * (count != 1)}, {state['mb']:g} of {state['max_mb']} MB"
    asked = state["hits"] + state["misses"]
    if not asked:
        return f"{kept}; nothing was looked up yet"
    return f"{kept}; {state['hits']} of {asked} needed no request ({state['hits'] / asked:.0%})"
