"""The output `wav_file`: one WAV file that is valid at any moment, each announcement appended to it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from edgevoice import BYTES_PER_FRAME, Resampler
from edgevoice.errors import OutputError
from edgevoice.hookspecs import hookimpl
from edgevoice.plugin import Output

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    from edgevoice.hookspecs import Registry
    from edgevoice.plugin import Context, Progress

STEP_S = 0.02
"""Seconds written at a time when the file takes real time."""
BIG = 16 * 1024
"""Bytes from which on a write goes to a thread."""
LARGEST = 0xFFFFFFFF - 1024
"""Bytes of audio that a WAV file can hold, its other chunks left room."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`pace` takes real time over each announcement; without, it is written as fast as it comes."""

    path: Annotated[str, Meta(min_length=1)]
    sample_rate: Annotated[int, Meta(ge=8000, le=192000)] = 24000
    pace: bool = True


class WavFile(Output):
    """Appends to one file."""

    options = Options

    @classmethod
    def exclusive_resource(cls, options: Options) -> str | None:
        return str(Path(options.path).expanduser().absolute())

    def __init__(self, context: Context, options: Options) -> None:
        super().__init__(context, options)
        self._path = Path(options.path).expanduser()
        self._rate = options.sample_rate
        self._pace = options.pace
        self._usual_rate = context.speech.sample_rate
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        # What resampling needs is loaded before the first announcement waits for it.
        await asyncio.to_thread(Resampler, self._usual_rate, self._rate)
        return self

    async def probe(self) -> None:
        async with self._turn:
            with WavAppender(self._path, self._rate):
                pass

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        async with self._turn:
            resampler = await asyncio.to_thread(Resampler, rate, self._rate)
            with WavAppender(self._path, self._rate) as file:
                recording = _Recording(file, resampler, progress, paced=self._pace)
                async for pcm in audio:
                    await recording.take(resampler.feed(pcm))
                await recording.take(resampler.feed(b"", last=True))
                progress.written(resampler.taken)
                progress.played(resampler.taken)


class _Recording:
    """One announcement on its way into the file, at the speed of the ear or as fast as it comes."""

    def __init__(self, file: WavAppender, resampler: Resampler, progress: Progress, *, paced: bool) -> None:
        self._file = file
        self._resampler = resampler
        self._progress = progress
        self._rate = resampler.target_rate
        self._step = round(self._rate * STEP_S) * BYTES_PER_FRAME if paced else 0
        self._written = 0
        self._now = asyncio.get_running_loop().time
        self._heard_at = self._left_at = self._now()
        """When the last frame was heard; when more audio was asked for."""

    async def take(self, pcm: bytes) -> None:
        # The time waited for audio delays the rest; that this process was late does not.
        self._heard_at += self._now() - self._left_at
        step = self._step or len(pcm) or 1
        for start in range(0, len(pcm), step):
            await self._write(pcm[start : start + step])
        self._left_at = self._now()

    async def _write(self, pcm: bytes) -> None:
        frames = len(pcm) // BYTES_PER_FRAME
        self._progress.written(self._resampler.source_frames(self._written + frames))
        if self._step:
            self._heard_at += frames / self._rate
            await asyncio.sleep(self._heard_at - self._now())
        try:
            await self._file.append(pcm)
        except OutputError:
            frames = 0
            raise
        finally:
            self._written += frames
            self._progress.played(self._resampler.source_frames(self._written))


class WavAppender:
    """A WAV file of s16le mono at `rate` Hz, open for appending, its header right after each append.

    What lies behind the audio (the half of an announcement that a crash cut off) is given up.

    Raises:
        OutputError: it cannot be written, is something else, or another is writing it.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._rate = rate
        self._descriptor = -1
        self._start = self._bytes = 0
        """Where the audio begins, and how much there is."""

    def __enter__(self) -> Self:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written: {error.strerror}; set another `path`"
            ) from error
        try:
            self._claim()
            self._open()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    async def append(self, pcm: bytes) -> None:
        """Append, and make the header right. Once begun it is done, whoever cancels."""
        if self._bytes + len(pcm) > LARGEST:
            raise OutputError(f"{self._path}: is full: a WAV file holds 4 GiB; move it away")
        if len(pcm) < BIG:
            self._append(pcm)
            return
        writing = asyncio.ensure_future(asyncio.to_thread(self._append, pcm))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    def _append(self, pcm: bytes) -> None:
        try:
            self._write(pcm, self._start + self._bytes)
            self._bytes += len(pcm)
            self._write(struct.pack("<I", self._bytes), self._start - 4)
            self._write(struct.pack("<I", self._start + self._bytes - 8), 4)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error

    def _write(self, data: bytes, offset: int) -> None:
        while data:
            written = os.pwrite(self._descriptor, data, offset)
            offset += written
            data = data[written:]

    def _claim(self) -> None:
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise OutputError(f"{self._path}: is not a file; set another `path`")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{self._path}: another speaker is writing it; set another `path`") from error

    def _open(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size == 0:
            self._write(_header(self._rate), 0)
            self._start = len(_header(self._rate))
            return
        self._find_audio(size)
        os.ftruncate(self._descriptor, self._start + self._bytes)

    def _find_audio(self, size: int) -> None:
        """Read the chunks of an existing file up to its audio."""
        if os.pread(self._descriptor, 4, 0) + os.pread(self._descriptor, 4, 8) != b"RIFFWAVE":
            raise self._other("is no WAV file")
        offset, found = 12, b""
        while len(head := os.pread(self._descriptor, 8, offset)) == 8:
            kind, length = struct.unpack("<4sI", head)
            offset += 8
            if kind == b"data":
                if found != _format(self._rate):
                    break
                self._start, self._bytes = offset, min(length, size - offset) // 2 * 2
                return
            if kind == b"fmt ":
                found = os.pread(self._descriptor, 16, offset)
            offset += length + length % 2
        raise self._other(f"is a WAV file of another kind than 16 bits, mono, {self._rate} Hz")

    def _other(self, what: str) -> OutputError:
        return OutputError(f"{self._path}: {what}; set another `path`, or move the file away")


def _format(rate: int) -> bytes:
    return struct.pack("<HHIIHH", 1, 1, rate, rate * BYTES_PER_FRAME, BYTES_PER_FRAME, 16)


def _header(rate: int) -> bytes:
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", 16) + _format(rate) + b"data" + struct.pack("<I", 0)
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.output("wav_file", WavFile)
