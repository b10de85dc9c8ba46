"""The output `wav_file`: appends each announcement to one WAV file that is valid at any moment."""

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

from edgevoice import BYTES_PER_FRAME, Output, OutputError, Resampler, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Self

    from edgevoice import Context, Progress, Registry

#: A paced file is written in steps of this length.
STEP_S = 0.02
#: Audio that a WAV file can hold: its sizes have 32 bits, and its other chunks need room.
MAX_AUDIO_BYTES = 0xFFFFFFFF - 1024


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`pace` writes each announcement in real time; without it, as fast as the audio arrives."""

    path: Annotated[str, Meta(min_length=1)]
    sample_rate: Annotated[int, Meta(ge=8000, le=192000)] = 24000
    pace: bool = True


class WavFile(Output):
    """An output that appends to one file."""

    options = Options

    @classmethod
    def exclusive_resource(cls, options: Options) -> str | None:
        return str(Path(options.path).expanduser().absolute())

    def __init__(self, context: Context, options: Options) -> None:
        super().__init__(context, options)
        self._path = Path(options.path).expanduser()
        self._rate = options.sample_rate
        self._pace = options.pace
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        # Load the resampler now, so that the first announcement does not wait for it.
        await asyncio.to_thread(Resampler, self.context.speech.sample_rate, self._rate)
        return self

    async def probe(self) -> None:
        async with self._lock, WavAppender(self._path, self._rate):
            pass

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        async with self._lock:
            resampler = None
            if rate != self._rate:
                resampler = await asyncio.to_thread(Resampler, rate, self._rate)
            async with WavAppender(self._path, self._rate) as file:
                playback = _Playback(file, self._rate, resampler, progress, paced=self._pace)
                async for pcm in audio:
                    await playback.write(pcm if resampler is None else resampler.feed(pcm))
                if resampler is not None:
                    await playback.write(resampler.feed(b"", last=True))
                    progress.written(resampler.taken)
                    progress.played(resampler.taken)


class _Playback:
    """An announcement that is being written, in real time or as fast as it arrives."""

    def __init__(
        self, file: WavAppender, rate: int, resampler: Resampler | None, progress: Progress, *, paced: bool
    ) -> None:
        self._file = file
        self._resampler = resampler
        self._progress = progress
        self._rate = rate
        self._step_bytes = round(self._rate * STEP_S) * BYTES_PER_FRAME if paced else 0
        self._written_frames = 0
        self._now = asyncio.get_running_loop().time
        #: When the last frame is played in real time, and when the last write returned.
        self._played_until = self._returned_at = self._now()

    async def write(self, pcm: bytes) -> None:
        # The time waited for audio delays the rest; the time that this process was late does not.
        self._played_until += self._now() - self._returned_at
        step_bytes = self._step_bytes or len(pcm) or 1
        for start in range(0, len(pcm), step_bytes):
            await self._write_step(pcm[start : start + step_bytes])
        self._returned_at = self._now()

    async def _write_step(self, pcm: bytes) -> None:
        frames = len(pcm) // BYTES_PER_FRAME
        self._progress.written(self._source_frames(self._written_frames + frames))
        if self._step_bytes:
            self._played_until += frames / self._rate
            await asyncio.sleep(self._played_until - self._now())
        try:
            await self._file.append(pcm)
        except OutputError:
            frames = 0
            raise
        finally:
            self._written_frames += frames
            self._progress.played(self._source_frames(self._written_frames))

    def _source_frames(self, frames: int) -> int:
        return frames if self._resampler is None else self._resampler.source_frames(frames)


class WavAppender:
    """A WAV file of s16le mono at `rate` Hz, open for appending. Its header is right after each append.

    Data behind the audio (the part of an announcement that a crash cut off) is discarded. All access to
    the disk happens in a thread, because a disk may hang.

    Raises:
        OutputError: the file cannot be written, is of another kind, or is in use by another speaker.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._rate = rate
        self._descriptor = -1
        #: Offset and size of the audio in the file.
        self._start = self._audio_bytes = 0

    async def __aenter__(self) -> Self:
        try:
            await _finish_in_thread(self._open)
        except asyncio.CancelledError:
            self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await _finish_in_thread(self._close)

    async def append(self, pcm: bytes) -> None:
        """Append the audio and correct the header. A cancellation does not interrupt the write."""
        if self._audio_bytes + len(pcm) > MAX_AUDIO_BYTES:
            raise OutputError(f"{self._path}: is full: a WAV file holds 4 GiB; move it away")
        await _finish_in_thread(lambda: self._append(pcm))

    def _append(self, pcm: bytes) -> None:
        try:
            self._write(pcm, self._start + self._audio_bytes)
            self._audio_bytes += len(pcm)
            self._write(struct.pack("<I", self._audio_bytes), self._start - 4)
            self._write(struct.pack("<I", self._start + self._audio_bytes - 8), 4)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error

    def _write(self, data: bytes, offset: int) -> None:
        while data:
            written = os.pwrite(self._descriptor, data, offset)
            offset += written
            data = data[written:]

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written: {error.strerror}; set another `path`"
            ) from error
        try:
            self._lock()
            self._prepare()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._descriptor != -1:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lock(self) -> None:
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise OutputError(f"{self._path}: is not a file; set another `path`")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"{self._path}: another speaker is writing it; set another `path`") from error

    def _prepare(self) -> None:
        """Write the header of an empty file, or find the end of the audio in an existing one."""
        size = os.fstat(self._descriptor).st_size
        if size == 0:
            self._write(_header(self._rate), 0)
            self._start = len(_header(self._rate))
            return
        self._find_audio(size)
        os.ftruncate(self._descriptor, self._start + self._audio_bytes)

    def _find_audio(self, size: int) -> None:
        """Read the chunks of an existing file up to its audio."""
        if os.pread(self._descriptor, 4, 0) + os.pread(self._descriptor, 4, 8) != b"RIFFWAVE":
            raise self._wrong_kind("is not a WAV file")
        offset, format_chunk = 12, b""
        while len(head := os.pread(self._descriptor, 8, offset)) == 8:
            kind, length = struct.unpack("<4sI", head)
            offset += 8
            if kind == b"data":
                if format_chunk != _format(self._rate):
                    break
                self._start, self._audio_bytes = offset, min(length, size - offset) // 2 * 2
                return
            if kind == b"fmt ":
                format_chunk = os.pread(self._descriptor, 16, offset)
            offset += length + length % 2
        raise self._wrong_kind(f"is a WAV file of another kind than 16 bits, mono, {self._rate} Hz")

    def _wrong_kind(self, problem: str) -> OutputError:
        return OutputError(f"{self._path}: {problem}; set another `path`, or move the file away")


async def _finish_in_thread(work: Callable[[], None]) -> None:
    """Run `work` in a thread. If cancelled, raise only after it has ended."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        running.exception()  # the cancellation is raised instead
        raise


def _format(rate: int) -> bytes:
    return struct.pack("<HHIIHH", 1, 1, rate, rate * BYTES_PER_FRAME, BYTES_PER_FRAME, 16)


def _header(rate: int) -> bytes:
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", 16) + _format(rate) + b"data" + struct.pack("<I", 0)
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.output("wav_file", WavFile)
