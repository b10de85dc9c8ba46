"""What a complete clip holds, in memory and in a file: of use after the clip was closed, and for another clip."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_BYTES = 64 * 1024
"""Bytes read from a file at once; a smaller read costs the same."""


class SpoolFile:
    """Samples in an open file, from a byte of it on; every method may block.

    Closed when nothing refers to it any more: a thread that still works with it after its clip was closed
    must not meet another file under the same number.
    """

    def __init__(self, descriptor: int, start: int = 0) -> None:
        self._descriptor = descriptor
        self._start = start

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def unnamed(cls, folder: Path) -> SpoolFile:
        """A new file that is gone with the process, however it ends."""
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
    """s16le mono: the first `filed` bytes in a file, the rest in memory."""

    file: SpoolFile | None
    filed: int
    tail: bytes = b""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.filed + len(self.tail)

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it, in order; may block.

        Raises:
            OSError: it cannot be read back.
        """
        if self.file is not None:
            for start in range(0, self.filed, READ_BYTES):
                yield self.file.read(min(READ_BYTES, self.filed - start), start)
        yield self.tail
