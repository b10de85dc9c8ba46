"""What the journal's lines add up to: what has not ended, what finished lately, switches, and history."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from edgevoice.announcement import Urgency

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
DAY = 86400.0
"""Seconds for which an id that finished is remembered."""
HISTORY = 500
"""How many outcomes are remembered."""

Key: TypeAlias = tuple[str, str]
"""A speaker and an id."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="is", tag="accepted"):
    """An announcement that is kept until it has ended on each of `speakers`; times are wall seconds.

    `at` is when it was accepted. `held` says since when a speaker holds it, `stood` for how many seconds
    its ttl stood still there before. What is `private` is not left in the file once it has ended.
    """

    id: str
    target: str
    payload: bytes
    urgency: Urgency
    at: float
    ttl: float
    speakers: tuple[str, ...]
    private: bool = False
    held: dict[str, float] = {}
    stood: dict[str, float] = {}

    def age(self, speaker: str, now: float) -> float:
        """Seconds that count against its ttl on a speaker; 0 where the clock went back behind `at`."""
        return max(0.0, min(now, self.held.get(speaker, now)) - self.at - self.stood.get(speaker, 0.0))


class Stamp(msgspec.Struct, frozen=True, tag_field="is", tag="journal"):
    """The clock of the lines that follow: wall seconds are `offset` more than monotonic ones of this boot."""

    version: int
    boot: str
    offset: float


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="is", tag="ended"):
    """An outcome; with the key of what was kept and, where it did finish, when."""

    key: Key | None = None
    finished: float | None = None
    outcome: dict[str, Any] | None = None


class Holding(msgspec.Struct, frozen=True, tag_field="is", tag="held"):
    """A speaker holds something that is kept, or does so no more, from `at` on."""

    key: Key
    held: bool
    at: float


class Switched(msgspec.Struct, frozen=True, tag_field="is", tag="switched"):
    """The switches of a speaker that were set, and to what."""

    speaker: str
    values: dict[str, bool | int | float]


Record: TypeAlias = Stamp | Kept | Ended | Holding | Switched


class JournalState:
    """All that is alive; `apply` is the same for a line that is written and one that is read."""

    def __init__(self) -> None:
        self.stamp: Stamp | None = None
        self.finished: dict[Key, float] = {}
        self.switches: dict[str, dict[str, bool | int | float]] = {}
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self._waiting: dict[Key, Kept] = {}
        self._held: dict[Key, float] = {}
        self._stood: dict[Key, float] = {}

    def apply(self, record: Record) -> None:
        match record:
            case Stamp():
                if self.stamp is not None and self.stamp.boot == record.boot:
                    self._shift(record.offset - self.stamp.offset)
                self.stamp = record
            case Kept():
                for speaker in record.speakers:
                    self._accept((speaker, record.id), record)
            case Ended():
                self._end(record)
            case Holding() if record.key in self._waiting:
                self._hold(record)
            case Switched():
                self.switches.setdefault(record.speaker, {}).update(record.values)

    def kept(self, key: Key) -> Kept | None:
        """What a speaker has not ended, as it was accepted."""
        return self._waiting.get(key)

    def pending(self) -> tuple[Kept, ...]:
        """What has not ended, oldest first, for the speakers on which it has not."""
        whole: dict[int, tuple[Kept, list[str]]] = {}
        for (speaker, _), kept in self._waiting.items():
            whole.setdefault(id(kept), (kept, []))[1].append(speaker)
        return tuple(self._as_it_stands(kept, tuple(speakers)) for kept, speakers in whole.values())

    def finished_lately(self, now: float) -> dict[Key, float]:
        """When what finished did so, within a day of `now`: one that a wrong clock dated ahead goes, too."""
        return {key: at for key, at in self.finished.items() if abs(now - at) < DAY}

    def records(self, now: float) -> Iterator[Record]:
        """What has to be written for all of it, without what is older than a day."""
        self.finished = self.finished_lately(now)
        if self.stamp is not None:
            yield self.stamp
        for speaker, values in self.switches.items():
            yield Switched(speaker, dict(values))
        for outcome in self.history:
            yield Ended(outcome=outcome)
        for key, at in self.finished.items():
            yield Ended(key=key, finished=at)
        yield from self.pending()

    def _accept(self, key: Key, kept: Kept) -> None:
        self._forget(key)
        self._waiting[key] = kept
        speaker = key[0]
        if speaker in kept.held:
            self._held[key] = kept.held[speaker]
        if speaker in kept.stood:
            self._stood[key] = kept.stood[speaker]

    def _end(self, record: Ended) -> None:
        if record.key is not None:
            self._forget(record.key)
            if record.finished is not None:
                self.finished[record.key] = record.finished
        if record.outcome is not None:
            self.history.append(record.outcome)

    def _hold(self, record: Holding) -> None:
        if record.held:
            self._held.setdefault(record.key, record.at)
        elif (since := self._held.pop(record.key, None)) is not None:
            self._stood[record.key] = self._stood.get(record.key, 0.0) + max(0.0, record.at - since)

    def _forget(self, key: Key) -> None:
        for kept in (self._waiting, self._held, self._stood):
            kept.pop(key, None)

    def _as_it_stands(self, kept: Kept, speakers: tuple[str, ...]) -> Kept:
        return msgspec.structs.replace(
            kept,
            speakers=speakers,
            held={name: self._held[name, kept.id] for name in speakers if (name, kept.id) in self._held},
            stood={name: self._stood[name, kept.id] for name in speakers if (name, kept.id) in self._stood},
        )

    def _shift(self, by: float) -> None:
        """The wall clock was set: what was dated by it is dated anew, so that ages stay as they are."""
        for times in (self.finished, self._held):
            for key in times:
                times[key] += by
        moved = {id(kept): kept for kept in self._waiting.values()}
        moved = {key: msgspec.structs.replace(kept, at=kept.at + by) for key, kept in moved.items()}
        self._waiting = {key: moved[id(kept)] for key, kept in self._waiting.items()}
