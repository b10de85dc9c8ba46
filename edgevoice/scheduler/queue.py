"""Announcements on one speaker: their state and played position, and the two queues in which they wait.

The states of an item (`Status`); the tests check every change of state against these arrows::

      submit
        │
        ▼    hold                      start_next
      QUEUED ─────────► HELD         ┌───────────► STARTING ──────────► PLAYING
        │ ▲  ◄───────── ▲ │          │                │    first sound     │
        │ │   release   │ │          │                │                    │ cut        ┌─► QUEUED (next round)
        │ └─────────────│─│──────────│◄── cut before ─┘                    ├────────────┤
        └───────────────│─│──────────┘    any sound                        │            └─► HELD
                        │ ▼                                                ▼
                  INTERRUPTED, PARKED ◄────────────────────────────────────┘
                        └───────────────► STARTING

      any state ──► ENDED: it has its one outcome, or is kept for the next start of the daemon

QUEUED, INTERRUPTED and PARKED items are in the ready queue, HELD ones in the held queue; at most one item
is STARTING or PLAYING. A PARKED item is live text that fell silent: it is passed over until more text
arrives, and then counts as INTERRUPTED, or as QUEUED if nothing of it was heard yet.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from edgevoice.storage.schema import CLOCK_STEP_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from edgevoice.announcement import Announcement, Priority
    from edgevoice.outcome import EventType

#: Interrupted items that are kept (docs/guides/urgency.md).
MAX_INTERRUPTED = 4


class Status(Enum):
    """The state of an item."""

    #: The item waits for its turn, or until it is due.
    QUEUED = auto()
    #: The player has it, but no sample was written yet.
    STARTING = auto()
    #: The item can be heard.
    PLAYING = auto()
    #: The item was cut while playing and waits to continue.
    INTERRUPTED = auto()
    #: The item waits for more live text; others play meanwhile.
    PARKED = auto()
    #: Mute, do not disturb or quiet hours keep it back.
    HELD = auto()
    ENDED = auto()


@dataclass(slots=True)
class Progress:
    """How far an item was heard. Positions are seconds of its clip, moments are monotonic seconds."""

    #: The clip was heard up to here in the current round.
    position_s: float = 0.0
    #: Playback last continued here; it is never rewound further.
    continued_from_s: float = 0.0
    #: The farthest position of all rounds.
    farthest_s: float = 0.0
    #: Seconds heard in the rounds before the current one.
    earlier_rounds_s: float = 0.0
    #: Seconds of the clip that are synthesized and not yet heard.
    buffered_s: float = 0.0
    #: The length of the clip once it is complete.
    synthesized_s: float | None = None
    round: int = 1
    #: Something of the current round could be heard.
    has_begun: bool = False
    #: True if the item was cut in mid-speech, so that it continues from the last pause before `position_s`.
    resume_pending: bool = False
    #: Live text fell silent, and more of it has not arrived yet.
    waiting_for_text: bool = False
    first_sound_at: float | None = None
    first_speech_at: float | None = None
    ended_at: float | None = None

    @property
    def heard_s(self) -> float:
        """The seconds that were heard, over all rounds."""
        return self.earlier_rounds_s + self.position_s

    @property
    def spoken_s(self) -> float | None:
        """How far it was heard, as an outcome tells it; None if nothing sounded."""
        return None if self.first_sound_at is None else round(self.farthest_s, 3)


@dataclass(slots=True, eq=False)
class QueueItem:
    """An announcement on one speaker. Items are compared by identity; times are monotonic seconds."""

    announcement: Final[Announcement]
    #: Said by the daemon itself, such as a digest: it is never held.
    is_internal: Final[bool]
    #: The older of two items of one urgency has the lower number. An item inherits it from one it replaces.
    sequence: int
    #: The volume in per cent.
    volume: int
    #: Higher goes first within one urgency.
    precedence: int = 0
    status: Status = Status.QUEUED
    progress: Progress = field(default_factory=Progress)
    #: The item is not played before this moment.
    due: float = field(init=False)
    #: The wall-clock time from which `due` follows, until it has come.
    due_at: datetime | None = field(init=False)
    #: Its first sound, or its continuation, must come before.
    deadline: float | None = field(init=False)
    held_since: float | None = None
    outcome: EventType | None = None
    #: A newer one of its tag, which came while this one was playing.
    superseded_by: Announcement | None = None
    #: The item that was started in its place.
    preempted_by: QueueItem | None = None
    #: The digest that reads it.
    digest: QueueItem | None = None
    #: The highest priority at which its synthesis was asked for.
    requested: Priority | None = None

    def __post_init__(self) -> None:
        self.due, self.due_at = self.announcement.due, self.announcement.due_at
        self.deadline = self.announcement.expires

    @property
    def is_restorable(self) -> bool:
        """Whether a restart of the daemon can bring it back: never what is private, nor live text."""
        announcement = self.announcement
        return not self.is_internal and not announcement.private and announcement.live is None

    @property
    def order(self) -> tuple[int, int, int]:
        """Sort key: most urgent first; within one urgency the interrupted, the last of them first; then oldest."""
        return -self.announcement.urgency.rank, -self.precedence, self.sequence

    @property
    def waiting_status(self) -> Status:
        """The state it has in the ready queue."""
        if self.progress.waiting_for_text:
            return Status.PARKED
        return Status.INTERRUPTED if self.progress.has_begun else Status.QUEUED

    def expires_at(self, now: float) -> float:
        """Return the deadline if it were released now; an item that has begun waits at most its ttl again."""
        if self.deadline is None:
            return max(self.due, now) + self.announcement.ttl
        return self.deadline + (now - self.held_since if self.held_since is not None else 0.0)

    def follow_clock(self, now: float, local_now: datetime) -> None:
        """Move `due` and the deadline to the wall-clock time `due_at`, if the clock was set since."""
        if self.due_at is None:
            return
        by = now + max(0.0, (self.due_at - local_now).total_seconds()) - self.due
        if abs(by) > CLOCK_STEP_S:
            self.due += by
            self.deadline = None if self.deadline is None else self.deadline + by
        if self.due <= now:
            self.due_at = None

    def hold(self, now: float) -> None:
        """Stop its ttl, unless it stands still already since before a restart."""
        self.status = Status.HELD
        self.held_since = now if self.held_since is None else self.held_since

    def release(self, now: float) -> None:
        """Let its ttl continue."""
        if self.held_since is not None and self.deadline is not None:
            self.deadline += now - self.held_since
        self.held_since = None

    def start_sounding(self, now: float) -> None:
        """Record that its first sample was written: it is PLAYING, and has no deadline any more."""
        progress = self.progress
        progress.first_sound_at = now if progress.first_sound_at is None else progress.first_sound_at
        progress.has_begun = True
        self.deadline, self.status = None, Status.PLAYING

    def advance(self, position_s: float) -> None:
        """Record that the item was heard up to a position."""
        progress = self.progress
        progress.position_s = max(progress.position_s, position_s)
        progress.farthest_s = max(progress.farthest_s, position_s)

    def interrupt(self, precedence: int, now: float) -> None:
        """Record a cut while playing: the item waits at most its ttl again, before those interrupted earlier."""
        progress = self.progress
        self.precedence = precedence
        self.deadline = now + self.announcement.ttl
        # Where live text fell silent there is nothing to rewind to; and an item that was cut again before
        # anything more was heard is at the pause from which it continues already.
        if progress.waiting_for_text:
            progress.resume_pending, progress.continued_from_s = False, progress.position_s
        elif progress.position_s > progress.continued_from_s:
            progress.resume_pending = True

    def rewind(self, position_s: float) -> None:
        """Record that the item continues from a position."""
        self.progress.position_s = self.progress.continued_from_s = position_s
        self.progress.resume_pending = False

    def begin_next_round(self, due: float) -> None:
        """Start over at `due`; the ttl counted for the first round only."""
        progress = self.progress
        progress.earlier_rounds_s += progress.position_s
        progress.round += 1
        progress.position_s = progress.continued_from_s = 0.0
        progress.has_begun = progress.resume_pending = False
        self.precedence, self.due, self.deadline = 0, due, None


class ItemQueue:
    """At most `limit` items, sorted by `key`, which must not change for an item while it is queued."""

    def __init__(self, limit: int, key: Callable[[QueueItem], Any]) -> None:
        self.items: list[QueueItem] = []
        self._limit = limit
        self._key = key

    def add(self, item: QueueItem) -> QueueItem | None:
        """Add an item; return the item that must be dropped for it: the least urgent, oldest first."""
        bisect.insort(self.items, item, key=self._key)
        if len(self.items) <= self._limit:
            return None
        dropped = min(self.items, key=lambda item: (item.announcement.urgency.rank, item.sequence))
        self.items.remove(dropped)
        return dropped

    def pop_if(self, wanted: Callable[[QueueItem], object]) -> list[QueueItem]:
        """Remove and return every wanted item."""
        taken: list[QueueItem] = []
        left: list[QueueItem] = []
        for item in self.items:
            (taken if wanted(item) else left).append(item)
        self.items = left
        return taken


class ReadyQueue(ItemQueue):
    """The items that wait, in the order in which they will be played; times are monotonic seconds."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, lambda item: item.order)

    def is_full_of_interrupted(self) -> bool:
        """Return whether no further interrupted item can be kept."""
        return sum(item.progress.has_begun for item in self.items) >= MAX_INTERRUPTED

    def ready(self, now: float) -> Iterator[QueueItem]:
        """Yield the items that could be played now, in order."""
        return (
            item
            for item in self.items
            if item.status is not Status.PARKED
            and item.due <= now
            and (item.deadline is None or item.deadline > now)
        )

    def follow_clock(self, now: float, local_clock: Callable[[], datetime]) -> None:
        """Move the items that are due at a time of day, if the wall clock was set."""
        if timed := [item for item in self.items if item.due_at is not None]:
            local_now = local_clock()
            for item in timed:
                item.follow_clock(now, local_now)

    def pop_expired(self, now: float) -> list[QueueItem]:
        """Remove and return the items whose first sound, or continuation, would be too late."""
        expired = [item for item in self.items if item.deadline is not None and item.deadline <= now]
        return self.pop_if(expired.__contains__) if expired else []

    def next_change(self, now: float) -> float:
        """Return when the next item becomes due, if that comes after `now`, or expires; infinite if never."""
        moments = (item.due if item.due > now else item.deadline for item in self.items)
        return min((moment for moment in moments if moment is not None), default=math.inf)


class HeldQueue(ItemQueue):
    """The held items, oldest first; an item is held for at most `keep_s` seconds."""

    def __init__(self, limit: int, keep_s: float) -> None:
        super().__init__(limit, lambda item: item.sequence)
        self._keep_s = keep_s

    def pop_expired(self, now: float) -> list[QueueItem]:
        """Remove and return the items that were held too long, except those that a digest is reading."""
        return self.pop_if(lambda item: item.digest is None and self._expires_at(item) <= now)

    def next_change(self) -> float:
        """Return when the next item was held too long; infinite if never."""
        return min((self._expires_at(item) for item in self.items if item.digest is None), default=math.inf)

    def unread(self) -> list[QueueItem]:
        """Return the items that no digest reads yet and whose text is complete."""
        return [
            item
            for item in self.items
            if item.digest is None and (item.announcement.live is None or item.announcement.live.ended)
        ]

    def _expires_at(self, item: QueueItem) -> float:
        return (item.held_since or 0.0) + self._keep_s
