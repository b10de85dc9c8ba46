"""The cache: complete clips in files, so that a text that was spoken before needs no request."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from edgevoice.cache.files import RESERVE_BYTES, ClipFiles, CorruptClipError, file_size
from edgevoice.config.options import max_clip_bytes
from edgevoice.disk import in_thread, start_in_thread
from edgevoice.plugin import speech_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.audio.clip import Clip, PcmSnapshot
    from edgevoice.config import Settings
    from edgevoice.config.options import CacheOptions

logger = logging.getLogger(__name__)

#: Version of what a key is made of, and of the file it names.
KEY_VERSION = 2
BYTES_PER_MB = 1_000_000
DAY_S = 86_400.0
#: A clip that takes longer to open is a miss: a request is about as fast.
OPEN_TIMEOUT_S = 0.5
#: How long closing the cache waits for clips that are still being written.
CLOSE_TIMEOUT_S = 5.0
#: Interval between scans of the folder, which remove what was not used for `max_days`.
SCAN_INTERVAL_S = 3600.0
#: Clips that may wait for the disk, each up to 256 KiB of memory; a further one is not cached.
MAX_PENDING_WRITES = 8


class KeyScheme:
    """Derives the cache keys of one configuration.

    The voice enters a key as the transport's own `voice_identity`, so that transports of one service share
    clips and no other voice is taken for theirs. See docs/decisions/plugin-api.md.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kinds = settings.plugins.transports

    @property
    def sample_rate(self) -> int:
        """The rate of the clips in Hz."""
        return self._settings.speech.sample_rate

    def key(self, announcement: Announcement, text: str | None, transport: str) -> str | None:
        """Return the key of `text` as a transport speaks it; None if it is live, private or not cacheable."""
        kind = self._kinds.get(transport)
        if text is None or announcement.private or kind is None:
            return None
        request = speech_request(announcement, self._settings.speech)
        identity = kind.voice_identity(self._settings.transport_options(transport), request)
        if identity is None:
            return None
        made_of = (KEY_VERSION, identity, self.sample_rate, text.strip())
        # repr, because a text may hold what cannot be encoded.
        return hashlib.blake2b(repr(made_of).encode(), digest_size=20).hexdigest()


class Cache:
    """Clips by key, the least recently used evicted first.

    Lookups read the disk in a thread, at most `open_timeout_s`; writes, removals and scans are jobs of one
    worker task, which runs inside `async with`. The index in memory belongs to the event loop, so `contains`
    never blocks. A failing disk costs hits, nothing else. See docs/decisions/cache.md.
    """

    def __init__(
        self,
        folder: Path,
        options: CacheOptions,
        keys: KeyScheme,
        *,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        #: Lookups since the start.
        self.hits = self.misses = 0
        self._options = options
        self._keys = keys
        self._files = ClipFiles(folder, reserve_bytes=reserve_bytes)
        self._open_timeout_s = open_timeout_s
        self._close_timeout_s = close_timeout_s
        self._max_bytes = options.max_mb * BYTES_PER_MB
        #: Bytes by key, the least recently used first.
        self._sizes: dict[str, int] = {}
        self._pinned: frozenset[str] = frozenset()
        self._scanned = asyncio.Event()
        self._jobs: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._next_scan: asyncio.TimerHandle | None = None
        #: A read that timed out. Until it returns, the disk hangs and every lookup is a miss.
        self._hung_read: Future[PcmSnapshot | None] | None = None
        self._write_failed = False

    async def __aenter__(self) -> Self:
        self._jobs.put_nowait(self._scan if self._options.enabled else self._remove_all)
        self._worker = asyncio.create_task(self._work(), name="cache")
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._close_timeout_s):
                await self.flush()
        if self._next_scan is not None:
            self._next_scan.cancel()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def key(self, announcement: Announcement, text: str | None, transport: str) -> str | None:
        """Return the key of `text` as a transport speaks it; None if such a clip is never cached."""
        return self._keys.key(announcement, text, transport) if self._options.enabled else None

    def contains(self, key: str | None) -> bool:
        """Return whether a clip is cached, as far as is known: its file may be damaged."""
        return key in self._sizes

    async def load_into(self, clip: Clip, key: str | None, *, counts: bool = True) -> bool:
        """Fill an empty clip from the cache. Returns whether it was a hit, which `hits` and `misses` count."""
        if key is None:
            return False
        samples = await self.open(key, clip.rate)
        if samples is None:
            self.misses += counts
            return False
        self.hits += counts
        clip.adopt(samples)
        return True

    async def open(self, key: str, rate: int) -> PcmSnapshot | None:
        """Open a cached clip. Returns None on a miss, a damaged file, or if the disk does not answer in time."""
        if self._scanned.is_set() and key not in self._sizes:
            return None
        if self._hung_read is not None and not self._hung_read.done():
            return None
        read, samples = start_in_thread(partial(self._files.open, key, rate)), None
        try:
            async with asyncio.timeout(self._open_timeout_s):
                samples = await asyncio.wrap_future(read)
        except CorruptClipError:
            logger.warning("cache: the clip %s is damaged; removed, it will be requested again", key)
        except TimeoutError:
            self._hung_read = read
            logger.warning("cache: %s does not answer; not read until it does", self._files.path)
            return None
        except OSError as error:
            logger.warning("cache: cannot read the clip %s: %s", key, error.strerror or error)
            return None
        size = self._sizes.pop(key, None)
        if samples is not None and size is not None:
            self._sizes[key] = size  # now the most recently used
        return samples

    async def is_intact(self, key: str) -> bool:
        """Return whether a clip is cached and undamaged."""
        return await self.open(key, self._keys.sample_rate) is not None

    def store(self, key: str | None, clip: Clip) -> None:
        """Cache a complete clip in the background. The caller may close the clip at once."""
        if key is not None and clip.complete and clip.frames and self._jobs.qsize() < MAX_PENDING_WRITES:
            self._jobs.put_nowait(partial(self._write, key, clip.rate, clip.snapshot))

    def pin(self, keys: Iterable[str]) -> None:
        """Protect clips from eviction, in place of those pinned before."""
        self._pinned = frozenset(keys)

    def clear(self) -> None:
        """Remove all clips."""
        self._sizes.clear()
        self._jobs.put_nowait(self._remove_all)

    async def wait_scanned(self) -> None:
        """Wait until the folder was scanned, from when on `contains` is right."""
        await self._scanned.wait()

    async def flush(self) -> None:
        """Wait until everything asked for so far has been written or removed."""
        await self._jobs.join()

    @property
    def state(self) -> dict[str, Any]:
        """Size, and the use it has been since the start."""
        return {
            "enabled": self._options.enabled,
            "clips": len(self._sizes),
            "mb": round(sum(self._sizes.values()) / BYTES_PER_MB, 1),
            "max_mb": self._options.max_mb,
            "hits": self.hits,
            "misses": self.misses,
        }

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                await job()
            except OSError as error:
                self._report(error)
            except Exception:
                logger.exception("cache: a job failed")
            finally:
                self._jobs.task_done()

    async def _scan(self) -> None:
        """Read the folder, and remove what is too old or, after `max_mb` was lowered, too much."""
        try:
            found = await in_thread(self._files.scan)
            self._sizes = {key: size for key, (size, _) in found.items()}
            oldest = time.time() - self._options.max_days * DAY_S
            await self._remove(k for k, (_, used) in found.items() if used < oldest and k not in self._pinned)
            # Pinned clips go only if the others are not enough.
            await self._remove(self._victims(0, sorted(self._sizes, key=self._pinned.__contains__)) or [])
        finally:
            self._scanned.set()
            again = partial(self._jobs.put_nowait, self._scan)
            self._next_scan = asyncio.get_running_loop().call_later(SCAN_INTERVAL_S, again)

    async def _write(self, key: str, rate: int, samples: PcmSnapshot) -> None:
        size = file_size(samples)
        if key in self._sizes or size > max_clip_bytes(self._max_bytes):
            return
        victims = self._victims(size, [key for key in self._sizes if key not in self._pinned])
        if victims is None:
            return
        await self._remove(victims)
        await in_thread(self._files.write, key, rate, samples)
        self._sizes[key] = size
        if self._write_failed:
            self._write_failed = False
            logger.info("cache: %s can be written again", self._files.path)

    async def _remove_all(self) -> None:
        found = await in_thread(self._files.scan)
        await self._remove(found)
        self._scanned.set()

    async def _remove(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        for key in keys:
            self._sizes.pop(key, None)
        if keys:
            await in_thread(self._files.remove, keys)

    def _victims(self, size: int, candidates: Iterable[str]) -> list[str] | None:
        """Return the first candidates whose removal makes room for `size` bytes; None if all of them do not."""
        excess = sum(self._sizes.values()) + size - self._max_bytes
        victims: list[str] = []
        for key in candidates:
            if excess <= 0:
                break
            victims.append(key)
            excess -= self._sizes[key]
        return victims if excess <= 0 else None

    def _report(self, error: OSError) -> None:
        """Log that the disk failed, once until a clip could be written again."""
        if not self._write_failed:
            self._write_failed = True
            reason = error.strerror or error
            logger.warning("cache: cannot use %s: %s; new clips are not cached", self._files.path, reason)


def cache_dir(state_dir: Path) -> Path:
    return state_dir / "cache"
