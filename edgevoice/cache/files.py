"""The folder of the cache: a file for each clip, written whole or not at all, believed only if its checksum is right."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

from edgevoice.audio.clip import READ_BYTES, PcmSnapshot, SpoolFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RESERVE_BYTES = 32 * 1024 * 1024
"""Bytes that are left free on the disk, which the database needs more."""
_MAGIC = b"EVclip01"
_HEADER = struct.Struct("<8s40sIQ")
"""Magic, name, Hz, bytes of s16le mono; they follow, and then the checksum of all before it."""
_CHECKSUM = struct.Struct("<I")
_CLIP, _PART = ".clip", ".part"
_NAME = re.compile(r"[0-9a-f]{40}\.clip")


class CorruptClipError(Exception):
    """A file that is not what was written; it was thrown away."""


class ClipFiles:
    """The files, by the names of their clips; every method may block, and raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self) -> dict[str, tuple[int, float]]:
        """Size and last use (bytes on the disk, wall seconds) of each clip; what was half written is removed."""
        found: dict[str, tuple[int, float]] = {}
        if not self.path.is_dir():
            return found
        with os.scandir(self.path) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found[entry.name.removesuffix(_CLIP)] = (_on_disk(status.st_size), status.st_mtime)
                elif entry.name.endswith((_CLIP, _PART)):
                    with contextlib.suppress(IsADirectoryError):
                        os.unlink(entry.path)  # noqa: PTH108 - a plain string
        return found

    def has(self, name: str) -> bool:
        """Whether there is a file of that name, whatever is in it."""
        return os.path.isfile(self._file(name, _CLIP))  # noqa: PTH113 - Path.is_file raises without permission

    def write(self, name: str, rate: int, recording: PcmSnapshot) -> None:
        """Write a clip beside, and rename it when it is whole.

        Nothing is synced: after a power cut the checksum finds what did not get to the disk.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._file(name, _PART)
        try:
            self._leave_room(size_on_disk(recording))
            with open(part, "wb", opener=_private) as file:
                _write(file, _HEADER.pack(_MAGIC, name.encode(), rate, recording.size), recording)
            part.replace(self._file(name, _CLIP))
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise

    def open(self, name: str, rate: int, *, note_use: bool = False) -> PcmSnapshot:
        """Read all of a clip once, to check it; then it can be read from the file.

        Raises:
            DamagedClip: and there is no such file any more.
        """
        path = self._file(name, _CLIP)
        # Not blocking: what lies there may be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        samples = SpoolFile(descriptor, _HEADER.size)
        size = _size_of_samples(descriptor, name, rate)
        if size is None:
            path.unlink(missing_ok=True)
            raise CorruptClipError
        if note_use:
            with contextlib.suppress(OSError):
                os.utime(descriptor)
        return PcmSnapshot(samples, size)

    def remove(self, names: Iterable[str]) -> None:
        """Remove clips; those that are not there are removed already."""
        for name in names:
            self._file(name, _CLIP).unlink(missing_ok=True)

    def _leave_room(self, size: int) -> None:
        disk = os.statvfs(self.path)
        if disk.f_bavail * disk.f_frsize < size + RESERVE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _file(self, name: str, suffix: str) -> Path:
        return self.path / f"{name}{suffix}"


def size_on_disk(recording: PcmSnapshot) -> int:
    """Bytes that the file of a recording takes."""
    return _on_disk(_HEADER.size + recording.size + _CHECKSUM.size)


def _on_disk(size: int) -> int:
    """In whole blocks of 4 KiB, as nearly every file system has them."""
    return -(-size // 4096) * 4096


def _size_of_samples(descriptor: int, name: str, rate: int) -> int | None:
    """Bytes of samples of a clip; None if the file is anything else, or not whole."""
    status = os.fstat(descriptor)
    head = os.pread(descriptor, _HEADER.size, 0) if stat.S_ISREG(status.st_mode) else b""
    if len(head) < _HEADER.size:
        return None
    magic, named, hertz, size = _HEADER.unpack(head)
    end = _HEADER.size + size
    if (magic, named, hertz) != (_MAGIC, name.encode(), rate) or end + _CHECKSUM.size != status.st_size:
        return None
    checksum, position = zlib.crc32(head), _HEADER.size
    while position < end and (pcm := os.pread(descriptor, min(READ_BYTES, end - position), position)):
        checksum, position = zlib.crc32(pcm, checksum), position + len(pcm)
    return size if os.pread(descriptor, _CHECKSUM.size, end) == _CHECKSUM.pack(checksum) else None


def _write(file: BinaryIO, head: bytes, recording: PcmSnapshot) -> None:
    """Raises OSError also where the recording is not what it was."""
    file.write(head)
    checksum, size = zlib.crc32(head), 0
    for pcm in recording.pieces():
        file.write(pcm)
        checksum, size = zlib.crc32(pcm, checksum), size + len(pcm)
    if size != recording.size:
        raise OSError("the clip cannot be read back")
    file.write(_CHECKSUM.pack(checksum))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
