"""A clip: the audio of one announcement, filled once, read by any number of readers, bounded in memory.

Audio beyond 256 KiB goes to an unlinked file. Only that file can make `append` wait, so that a fast synthesis
frees its slot of the account early, whatever the speed of the readers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.audio import BYTES_PER_FRAME
from edgevoice.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Bytes read from a file at once; a smaller read takes as long.
READ_BYTES = 64 * 1024
#: Bytes of a clip in memory.
MAX_MEMORY_BYTES = 256 * 1024
#: Bytes of a clip at most: three hours at 24 kHz.
MAX_CLIP_BYTES = 512 * 1024 * 1024


class Clip:
    """Append-only s16le mono at `rate` Hz; complete or failed at its end.

    `spool` returns the folder for what memory does not hold, and raises `ClipError` if there is none.
    """

    def __init__(self, rate: int, spool: Callable[[], Path], *, longest: int = MAX_CLIP_BYTES) -> None:
        self.rate = rate
        self.frames = 0
        self.complete = False
        self.error: Exception | None = None
        self.is_closed = False
        self._spool = spool
        self._longest = longest
        self._tail = bytearray()
        self._spooled = 0
        #: Frames of the piece that was appended last, and its monotonic time.
        self._newest, self._arrived = 0, 0.0
        self._file: SpoolFile | None = None
        #: Readers wait for this event; the first reader makes it, because a thousand queued clips may have none.
        self._more: asyncio.Event | None = None
        #: The same for readers that wait for the end: they are not woken by each piece.
        self._end: asyncio.Event | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be appended."""
        return self.complete or self.error is not None

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    def check_open(self) -> None:
        """Raise `ClipError` if the clip has ended."""
        if self.ended:
            raise ClipError("the clip has ended; nothing can be appended")

    async def append(self, pcm: bytes) -> None:
        """Append whole samples.

        Raises:
            ClipError: the clip has ended, is longer than allowed, or there is no disk for it.
        """
        self.check_open()
        if self._spooled + len(self._tail) + len(pcm) > self._longest:
            raise ClipError(f"longer than {self._longest / BYTES_PER_FRAME / self.rate / 60:.0f} minutes")
        if len(self._tail) + len(pcm) > MAX_MEMORY_BYTES:
            await self._spill()
        self._tail += pcm
        self._newest, self._arrived = len(pcm) // BYTES_PER_FRAME, asyncio.get_running_loop().time()
        self.frames += self._newest
        self._wake()

    def adopt(self, recording: PcmSnapshot) -> None:
        """Complete the clip with the audio of another one; a clip that has ended stays as it is."""
        if self.ended:
            return
        self._file, self._spooled, self._tail[:] = recording.file, recording.filed, recording.tail
        self.frames = recording.size // BYTES_PER_FRAME
        self.finish()

    @property
    def snapshot(self) -> PcmSnapshot:
        """The audio so far."""
        return PcmSnapshot(self._file, self._spooled, bytes(self._tail))

    async def wait_end(self) -> None:
        """Wait until the clip has ended.

        Raises:
            ClipError: it failed.
        """
        if not self.ended:
            self._end = self._end or asyncio.Event()
            await self._end.wait()
        if self.error is not None:
            raise ClipError(str(self.error)) from self.error

    def finish(self, error: Exception | None = None) -> None:
        """End the clip: complete, or failed with `error`."""
        if self.ended:
            return
        self.error = error
        self.complete = error is None
        self._wake()
        if self._end is not None:
            self._end.set()

    def close(self) -> None:
        """Free the file and the memory; nothing can be read any more."""
        self._file, self.is_closed = None, True
        self._tail = bytearray()
        self.finish(ClipError("the clip was closed"))

    async def wait_past(self, frame: int) -> bool:
        """Wait until there is audio from `frame` on; return False at the end of a complete clip.

        Raises:
            ClipError: the clip failed before it came so far.
        """
        while frame >= self.frames:
            if self.error is not None:
                raise ClipError(str(self.error)) from self.error
            if self.complete:
                return False
            await self._changed()
        return True

    async def wait_buffered(self, frame: int, wanted_s: float) -> None:
        """Wait until `wanted_s` seconds are buffered from `frame` on, or the clip has ended.

        Audio fills the buffer, not time: while nothing arrives is the worst moment to begin. Of the newest piece only
        as many seconds count as have passed since it arrived, so that large pieces do not start playback sooner.
        """
        now = asyncio.get_running_loop().time
        while not self.ended:
            ahead_s, newest_s = (self.frames - frame) / self.rate, self._newest / self.rate
            ready_at = None
            if ahead_s >= wanted_s:
                ready_at = self._arrived + max(0.0, wanted_s - (ahead_s - newest_s))
                if ready_at <= now():
                    return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(ready_at):
                    await self._changed()

    async def read(self, frame: int, most: int = READ_BYTES) -> bytes:
        """Return up to `most` bytes from `frame` on, waiting for them; b"" at the end of a complete clip.

        Raises:
            ClipError: the clip failed, and all that it had before was read; or it was closed.
        """
        if not await self.wait_past(frame):
            return b""
        if self.is_closed:
            raise ClipError("the clip was closed")
        start = frame * BYTES_PER_FRAME
        if start >= self._spooled:
            start -= self._spooled
            return bytes(self._tail[start : start + most])
        if self._file is None:
            raise ClipError("the clip was closed")
        try:
            return await asyncio.to_thread(self._file.read, min(most, self._spooled - start), start)
        except OSError as error:
            raise ClipError(f"a long announcement cannot be read back: {error.strerror}") from error

    async def excerpt(self, first: int, end: int) -> bytes:
        """Return the frames from `first` up to `end` that are there now.

        Raises:
            ClipError: the clip was closed.
        """
        pieces, frame, end = [], max(0, first), min(end, self.frames)
        while frame < end:
            piece = await self.read(frame, min(READ_BYTES, (end - frame) * BYTES_PER_FRAME))
            pieces.append(piece)
            frame += len(piece) // BYTES_PER_FRAME
        return b"".join(pieces)

    async def _spill(self) -> None:
        """Move the tail to the file. The filler is the only writer, so that the tail cannot change meanwhile."""
        data = bytes(self._tail)
        try:
            if self._file is None:
                self._file = await asyncio.to_thread(SpoolFile.unnamed, self._spool())
            await asyncio.to_thread(self._file.write, data, self._spooled)
        except OSError as error:
            raise ClipError(f"no room for a long announcement: {error.strerror}") from error
        self._spooled += len(data)
        self._tail.clear()

    async def _changed(self) -> None:
        self._more = self._more or asyncio.Event()
        await self._more.wait()

    def _wake(self) -> None:
        if self._more is not None:
            self._more.set()
            self._more = None


class SpoolFile:
    """Samples in an open file, from byte `start` on; every method may block.

    It closes when nothing refers to it any more: a thread that still uses it after its clip was closed must not
    find another file under the same descriptor.
    """

    def __init__(self, descriptor: int, start: int = 0) -> None:
        self._descriptor = descriptor
        self._start = start

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def unnamed(cls, folder: Path) -> SpoolFile:
        """Make a file that disappears with the process, however that ends."""
        descriptor, name = tempfile.mkstemp(prefix="clip-", dir=folder)
        os.unlink(name)  # noqa: PTH108 - a plain string
        return cls(descriptor)

    def read(self, count: int, offset: int) -> bytes:
        return os.pread(self._descriptor, count, self._start + offset)

    def write(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self._start + offset)
            offset += written
            view = view[written:]


@dataclass(frozen=True, slots=True)
class PcmSnapshot:
    """S16le mono: the first `filed` bytes in a file, the rest in memory."""

    file: SpoolFile | None
    filed: int
    tail: bytes = b""

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.filed + len(self.tail)

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it in order; may block.

        Raises:
            OSError: it cannot be read back.
        """
        if self.file is not None:
            for start in range(0, self.filed, READ_BYTES):
                yield self.file.read(min(READ_BYTES, self.filed - start), start)
        yield self.tail
