"""The tables of the database, their versions, and the records that go in and out of them.

Times are UTC seconds in the file and monotonic seconds in memory; `Database` converts between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from edgevoice.announcement import Urgency

if TYPE_CHECKING:
    from edgevoice.outcome import Event

#: The database's name in the state folder.
FILE = "edgevoice.db"
#: Scripts by version: script n brings a database of version n to version n + 1.
MIGRATIONS = (
    """
    CREATE TABLE pending (
        id TEXT NOT NULL, speaker TEXT NOT NULL, target TEXT NOT NULL, topic TEXT, payload BLOB NOT NULL,
        urgency TEXT NOT NULL, received_at REAL NOT NULL, due_at REAL NOT NULL, expires_at REAL NOT NULL,
        held_since REAL, PRIMARY KEY (id, speaker));
    CREATE TABLE outcome (
        seq INTEGER PRIMARY KEY, at REAL NOT NULL, speaker TEXT NOT NULL, id TEXT NOT NULL,
        type TEXT NOT NULL, event BLOB, text TEXT);
    CREATE TABLE outbox (
        observer TEXT NOT NULL, speaker TEXT NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL,
        event BLOB NOT NULL, PRIMARY KEY (observer, speaker, id, at));
    CREATE TABLE setting (
        speaker TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (speaker, key));
    CREATE TABLE kv (
        namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (namespace, key));
    """,
)
VERSION = len(MIGRATIONS)
TABLES = ("pending", "outcome", "outbox", "setting", "kv")

#: Seconds by which the wall clock and the monotonic clock differ before it counts as having been set.
CLOCK_STEP_S = 1.0
#: Seconds for which the id of a finished announcement makes another one a duplicate.
DEDUPLICATION_S = 86_400.0
#: Outcomes whose whole event is kept.
HISTORY = 500
#: Finished ids that are kept at most: more than 30 a minute, all day long.
MAX_FINISHED = 50_000
#: Undelivered outcomes that are kept for each durable observer; the oldest are dropped.
MAX_UNDELIVERED = 200
#: Deletions that wait for a disk that refuses; each is of a row that would have expired within a day.
MAX_UNWRITTEN = 10_000

#: A speaker and an announcement's id.
Key: TypeAlias = tuple[str, str]
#: An observer, and speaker, id and time of the outcome it has not delivered.
DeliveryKey: TypeAlias = tuple[str, str, str, str]
#: A table (`setting` or `kv`), the speaker or namespace, and the key.
ValueKey: TypeAlias = tuple[str, str, str]


class PendingAnnouncement(msgspec.Struct, frozen=True, kw_only=True):
    """An announcement that has not ended on one speaker; times are monotonic seconds.

    `expires` stands still while the speaker holds the announcement, which it does since `held_since`.
    """

    id: str
    speaker: str
    target: str
    topic: str | None = None
    payload: bytes
    urgency: Urgency
    received: float
    due: float
    expires: float
    held_since: float | None = None

    @property
    def key(self) -> Key:
        return self.speaker, self.id

    def expires_from(self, now: float) -> float:
        """Return when it expires if it is not held from `now` on."""
        return self.expires if self.held_since is None else self.expires + max(0.0, now - self.held_since)

    def moved(self, by: float) -> PendingAnnouncement:
        """Return the same with all times `by` seconds later."""
        return msgspec.structs.replace(
            self,
            received=self.received + by,
            due=self.due + by,
            expires=self.expires + by,
            held_since=None if self.held_since is None else self.held_since + by,
        )


class OutcomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How an announcement ended on one speaker; `at` is monotonic seconds.

    `told_at` is the time the event carries, `observers` are those that must deliver it. `event` and `text`
    are what the history has; None where only the id is remembered, or the text must not be kept.
    """

    at: float
    speaker: str
    id: str
    type: str
    told_at: str
    event: bytes | None
    text: str | None = None
    observers: tuple[str, ...] = ()


@dataclass(slots=True)
class Changes:
    """The rows of a transaction. None in place of a row deletes it; outcomes delete their pending row."""

    pending: dict[Key, PendingAnnouncement | None] = field(default_factory=dict)
    outcomes: list[OutcomeRecord] = field(default_factory=list)
    delivered: dict[DeliveryKey, None] = field(default_factory=dict)
    values: dict[ValueKey, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.pending or self.outcomes or self.delivered or self.values)

    def extend(self, later: Changes) -> None:
        """Add later changes to these."""
        self.pending.update(later.pending)
        self.outcomes += later.outcomes
        self.delivered.update(later.delivered)
        self.values.update(later.values)
        self.shorten()

    def shorten(self) -> None:
        """Drop the oldest of what grows without bound while the disk refuses."""
        if len(self.pending) > MAX_UNWRITTEN:
            deleted = [key for key, row in self.pending.items() if row is None]
            for key in deleted[: len(deleted) // 2]:
                del self.pending[key]
        while len(self.delivered) > MAX_UNWRITTEN:
            del self.delivered[next(iter(self.delivered))]
        del self.outcomes[:-HISTORY]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of the database when it is opened; times are monotonic seconds."""

    pending: tuple[PendingAnnouncement, ...] = ()
    #: When each (speaker, id) finished, within the last day.
    finished: dict[Key, float] = field(default_factory=dict)
    #: Events that an observer has not delivered, oldest first.
    undelivered: tuple[tuple[str, Event], ...] = ()
    values: dict[ValueKey, Any] = field(default_factory=dict)
