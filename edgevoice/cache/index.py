"""Which clips are in the cache, how large they are and when each was last used; and which have to go."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_CLIP_BYTES = 4 * 1024 * 1024
"""Bytes of one clip at most, a minute and a half at 24 kHz: long texts hardly ever come twice."""
CLIP_SHARE = 2
"""And at most this part of the cache, so that one clip does not drive all others out."""
DAY_S = 86_400.0


def max_clip_bytes(limit: int) -> int:
    """Bytes of one clip at most, in a cache of `limit` bytes."""
    return min(MAX_CLIP_BYTES, limit // CLIP_SHARE)


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
