"""The journal's file: lines with a checksum, one process at a time, appended, synced, or replaced whole."""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HEAD = b'{"crc":"'
_START = len(_HEAD) + 8 + 2


def line(body: bytes) -> bytes:
    """The line of a JSON object that has at least one key: the same object, its checksum in front."""
    return b'%b%08x",%b\n' % (_HEAD, zlib.crc32(body), body[1:])


def body_of(text: bytes) -> bytes | None:
    """The JSON object of a line without its newline; None where line and checksum disagree."""
    body = b"{" + text[_START:]
    return body if line(body)[:-1] == text else None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file held: the objects that are whole, in order, and how much is not."""

    bodies: tuple[bytes, ...]
    lost: int
    lost_bytes: int
    size: int


class JournalFile:
    """`journal.jsonl` in a folder that one process has for itself; every method may block.

    One thread may sync while another appends or replaces.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self._folder = folder
        self._lock = threading.Lock()
        self._home: int | None = None
        self._file: int | None = None
        self._torn = False

    def open(self) -> Contents:
        """Take the folder and read what is there; a folder that cannot be made or read holds nothing.

        Raises:
            ConfigError: another process has the folder.
            OSError: it cannot be read.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._home = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._home, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            message = (
                f"another edgevoice keeps its journal in {self._folder}: end it, or choose another folder"
            )
            raise ConfigError([ConfigIssue("state_dir", message)]) from None
        except OSError:
            pass  # a file system without locks
        return self._read()

    def append(self, lines: bytes) -> None:
        """Hand whole lines to the operating system."""
        with self._lock:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            data = b"\n" + lines if self._torn else lines
            self._torn = True
            _write(self._file, data)
            self._torn = False

    def sync(self) -> None:
        """Return when all that was appended is on the disk."""
        with self._lock:
            if self._file is None:
                raise FileNotFoundError(2, "No such file", str(self.path))
            file = os.dup(self._file)
        try:
            if not os.fstat(file).st_nlink:
                raise FileNotFoundError(2, "The file was deleted", str(self.path))
            os.fdatasync(file)
        finally:
            os.close(file)

    def replace(self, bodies: Iterable[bytes]) -> int:
        """Put these objects, on the disk, in the place of all that is there; return the new size."""
        data = b"".join(map(line, bodies))
        beside = self.path.with_suffix(".new")
        file = os.open(beside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(file, data)
            os.fsync(file)
            beside.replace(self.path)
            if self._home is not None:
                os.fsync(self._home)
        except OSError:
            os.close(file)
            beside.unlink(missing_ok=True)
            raise
        with self._lock:
            former, self._file, self._torn = self._file, file, False
        if former is not None:
            os.close(former)
        return len(data)

    def set_aside(self, mark: str) -> Path:
        """Rename the file, so that nothing of it is touched; return its new name."""
        aside, number = self.path.with_suffix(f".{mark}.jsonl"), 1
        while aside.exists():
            number += 1
            aside = self.path.with_suffix(f".{mark}-{number}.jsonl")
        self.path.rename(aside)
        self._torn = False
        return aside

    def close(self) -> None:
        """Give the folder back."""
        for descriptor in (self._file, self._home):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._home = None

    def _read(self) -> Contents:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return Contents((), 0, 0, 0)
        *whole, tail = data.split(b"\n")
        self._torn = bool(tail)
        read = [(text, body_of(text)) for text in (*whole, tail) if text]
        lost = [text for text, body in read if body is None]
        bodies = tuple(body for _, body in read if body is not None)
        return Contents(bodies, len(lost), sum(map(len, lost)), len(data))


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
