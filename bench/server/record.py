"""The log of the simulated server: one JSON line a request, times in seconds of the monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

MAX_CHUNKS = 2000


class Record(msgspec.Struct):
    """The times of a request: body read, first audio about to be written, end."""

    number: int
    transport: str
    asked: float
    first: float | None = None
    done: float | None = None
    status: str = "cancelled"
    #: When each chunk had been written, and its length in seconds.
    chunks: list[tuple[float, float]] = []

    @property
    def server_s(self) -> float:
        """Seconds from the request to its first audio."""
        return (self.first or self.asked) - self.asked

    def sent(self, moment: float, seconds: float) -> None:
        if len(self.chunks) < MAX_CHUNKS:
            self.chunks.append((moment, seconds))


class Log:
    """The log file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def add(self, record: Record) -> None:
        self._file.write(msgspec.json.encode(record) + b"\n")


def records(data: bytes) -> list[Record]:
    """Return the records of the lines."""
    return [msgspec.json.decode(line, type=Record) for line in data.splitlines()]
