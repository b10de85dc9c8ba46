"""The cache: complete clips kept on the disk, so that what was said before needs no request."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, TypeVar

from edgevoice.cache.files import ClipFiles, CorruptClipError, size_on_disk
from edgevoice.cache.key import KeyScheme
from edgevoice.config.options import max_clip_bytes
from edgevoice.token_bucket import Rate, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.audio.clip import Clip, PcmSnapshot
    from edgevoice.config import Settings
    from edgevoice.config.options import CacheOptions

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

    def key(self, announcement: Announcement, text: str | None, transport: str) -> str | None:
        """Return the key of `text` as a transport speaks it; None if such a clip is never kept."""
        return self._recipe.key(announcement, text, transport) if self._options.enabled else None

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
        opening = run_in_daemon_thread(functools.partial(self._folder.open, name, rate, note_use=due))
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
        return await self.open(name, self._recipe.sample_rate) is not None

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
            self._index.load(await asyncio.wrap_future(run_in_daemon_thread(self._folder.scan)))
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


def build_cache(settings: Settings, state_dir: Path) -> Cache:
    """Return the cache of these settings, which lies in the state folder."""
    return Cache(state_dir / "cache", settings.core.cache, KeyScheme(settings))


def describe(state: Mapping[str, Any]) -> str:
    """The state of a cache in a sentence."""
    count = state["clips"]
    kept = f"{count} clip{'s' * (count != 1)}, {state['mb']:g} of {state['max_mb']} MB"
    asked = state["hits"] + state["misses"]
    if not asked:
        return f"{kept}; nothing was looked up yet"
    return f"{kept}; {state['hits']} of {asked} needed no request ({state['hits'] / asked:.0%})"


DAY_S = 86_400.0


@dataclass(slots=True)
class _Entry:
    """Bytes on the disk, and wall seconds of the last use: the true one, and the one noted on the disk."""

    size: int
    used: float
    noted: float


class Index:
    """The names of the clips, the least recently used first; `pinned` ones do not have to go.

    `limit` is bytes, `keep` seconds without use; a last use is noted on the disk once a day at most.
    """

    def __init__(self, limit: int, keep: float) -> None:
        self.pinned: frozenset[str] = frozenset()
        self.size = 0
        self._limit = limit
        self._keep = keep
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def load(self, found: Mapping[str, tuple[int, float]]) -> None:
        """Take over what lies on the disk: for each name its size and last use."""
        for name, (size, used) in sorted(found.items(), key=lambda item: item[1][1]):
            self.add(name, size, used)

    def add(self, name: str, size: int, now: float) -> None:
        """There is a clip more, just used."""
        self.discard(name)
        self._entries[name] = _Entry(size, now, now)
        self.size += size

    def discard(self, name: str) -> None:
        """There is no such clip any more."""
        if entry := self._entries.pop(name, None):
            self.size -= entry.size

    def use(self, name: str, now: float) -> bool:
        """A clip is used; whether that is to be noted on the disk."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return False
        self._entries[name] = entry
        entry.used, due = now, now - entry.noted >= DAY_S
        entry.noted = now if due else entry.noted
        return due

    def make_room(self, size: int) -> list[str] | None:
        """Take out what has to go for a clip of that size; None if it is not to be kept."""
        if size > max_clip_bytes(self._limit):
            return None
        going = self._first_to_go(self.size + size - self._limit, self._loose())
        return None if going is None else self._out(going)

    def expired(self, now: float) -> list[str]:
        """Take out what was not used for too long, and what is too much since the limit was lowered."""
        old = self._out([name for name in self._loose() if now - self._entries[name].used > self._keep])
        pinned = (name for name in self._entries if name in self.pinned)
        return old + self._out(self._first_to_go(self.size - self._limit, chain(self._loose(), pinned)) or [])

    def clear(self) -> list[str]:
        """Take out all."""
        return self._out(list(self._entries))

    def _loose(self) -> Iterator[str]:
        """Those that may go, the least recently used first."""
        return (name for name in self._entries if name not in self.pinned)

    def _first_to_go(self, needed: int, names: Iterator[str]) -> list[str] | None:
        """The first of some names that free so many bytes; None if all do not."""
        going: list[str] = []
        while needed > 0:
            if (name := next(names, None)) is None:
                return None
            going.append(name)
            needed -= self._entries[name].size
        return going

    def _out(self, names: Sequence[str]) -> list[str]:
        for name in names:
            self.discard(name)
        return list(names)


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
                await asyncio.wrap_future(run_in_daemon_thread(replacing))
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
                await asyncio.wrap_future(run_in_daemon_thread(functools.partial(self._folder.remove, names)))
            except OSError as error:
                self.refused(error)

    def _replace(self, going: Sequence[str], name: str, rate: int, recording: PcmSnapshot) -> None:
        self._folder.remove(going)
        self._folder.write(name, rate, recording)


Result = TypeVar("Result")


def run_in_daemon_thread(work: Callable[[], Result]) -> Future[Result]:
    """Do it beside; done when the disk has answered, whoever still waits for that.

    No executor: its threads are few, and the process does not end before they do.
    """
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=run, name="cache", daemon=True).start()
    return future
