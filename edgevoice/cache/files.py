"""Files of the cache: one checked file for each clip, in one folder.

Every method blocks and may raise OSError: the event loop calls them in threads only (`disk.py`).
"""

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

#: Disk space that the cache leaves free: the database needs it more.
RESERVE_BYTES = 32 * 1024 * 1024

_MAGIC = b"EVclip01"
#: Magic, key, Hz, bytes of s16le mono. The samples follow, then the CRC-32 of everything before it.
_HEADER = struct.Struct("<8s40sIQ")
_CHECKSUM = struct.Struct("<I")
_CLIP, _PART = ".clip", ".part"
_FILE_NAME = re.compile(r"[0-9a-f]{40}\.clip")


class CorruptClipError(Exception):
    """A clip's file is not what was written. It has been removed."""


class ClipFiles:
    """The folder of the cache. A file's mtime is the last use of its clip."""

    def __init__(self, path: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.path = path
        self._reserve_bytes = reserve_bytes

    def scan(self) -> dict[str, tuple[int, float]]:
        """Return size (bytes) and last use (Unix time) of each clip, the least recently used first.

        Files that a killed process left half written are removed.
        """
        found: dict[str, tuple[int, float]] = {}
        if not self.path.is_dir():
            return found
        with os.scandir(self.path) as entries:
            for entry in entries:
                if _FILE_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found[entry.name.removesuffix(_CLIP)] = (status.st_size, status.st_mtime)
                elif entry.name.endswith((_CLIP, _PART)):
                    with contextlib.suppress(IsADirectoryError):
                        os.unlink(entry.path)  # noqa: PTH108 - a plain string
        return dict(sorted(found.items(), key=lambda item: item[1][1]))

    def has(self, key: str) -> bool:
        """Return whether there is a file for this key. Its content is not checked."""
        return os.path.isfile(self._file(key, _CLIP))  # noqa: PTH113 - Path.is_file raises without permission

    def write(self, key: str, rate: int, samples: PcmSnapshot) -> None:
        """Write a clip to a temporary file, then rename it.

        Nothing is synced: after a power cut the checksum finds a clip that did not reach the disk
        (see docs/decisions/cache.md).
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._file(key, _PART)
        try:
            disk = os.statvfs(self.path)
            if disk.f_bavail * disk.f_frsize < file_size(samples) + self._reserve_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301
            with open(part, "wb", opener=_open_private) as file:
                _write(file, _HEADER.pack(_MAGIC, key.encode(), rate, samples.size), samples)
            part.replace(self._file(key, _CLIP))
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise

    def open(self, key: str, rate: int) -> PcmSnapshot | None:
        """Check the whole file of a clip, note the use, and return its samples, which stay in the file.

        Returns None if there is no file.

        Raises:
            CorruptClipError: the file was damaged, of another key, or of another sample rate.
        """
        path = self._file(key, _CLIP)
        # O_NONBLOCK: opening a pipe in the clip's place must not block.
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        file = SpoolFile(descriptor, _HEADER.size)
        size = _checked_size(descriptor, key, rate)
        if size is None:
            path.unlink(missing_ok=True)
            raise CorruptClipError
        with contextlib.suppress(OSError):  # a read-only disk
            os.utime(descriptor)
        return PcmSnapshot(file, size)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove clips; missing ones are ignored."""
        for key in keys:
            self._file(key, _CLIP).unlink(missing_ok=True)

    def _file(self, key: str, suffix: str) -> Path:
        return self.path / f"{key}{suffix}"


def file_size(samples: PcmSnapshot) -> int:
    """Return the size of a clip's file in bytes."""
    return _HEADER.size + samples.size + _CHECKSUM.size


def _checked_size(descriptor: int, key: str, rate: int) -> int | None:
    """Return the bytes of samples in a file; None if header, length or checksum are wrong."""
    status = os.fstat(descriptor)
    head = os.pread(descriptor, _HEADER.size, 0) if stat.S_ISREG(status.st_mode) else b""
    if len(head) < _HEADER.size:
        return None
    magic, file_key, file_rate, size = _HEADER.unpack(head)
    end = _HEADER.size + size
    if (magic, file_key, file_rate) != (_MAGIC, key.encode(), rate) or end + _CHECKSUM.size != status.st_size:
        return None
    checksum, position = zlib.crc32(head), _HEADER.size
    while position < end and (pcm := os.pread(descriptor, min(READ_BYTES, end - position), position)):
        checksum, position = zlib.crc32(pcm, checksum), position + len(pcm)
    return size if os.pread(descriptor, _CHECKSUM.size, end) == _CHECKSUM.pack(checksum) else None


def _write(file: BinaryIO, head: bytes, samples: PcmSnapshot) -> None:
    file.write(head)
    checksum, size = zlib.crc32(head), 0
    for pcm in samples.pieces():
        file.write(pcm)
        checksum, size = zlib.crc32(pcm, checksum), size + len(pcm)
    if size != samples.size:
        raise OSError("the clip cannot be read back")
    file.write(_CHECKSUM.pack(checksum))


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
