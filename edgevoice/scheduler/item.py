"""An announcement on one speaker: its state, its place in the queue, and its played position.

The states of an item (`Status`); `TRANSITIONS` lists the same arrows, and the tests check every change
of state against it::

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

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgevoice.announcement import Announcement
    from edgevoice.outcome import EventType
    from edgevoice.priority import Priority

#: A wall clock that differs by more than this was set; less is the drift of two clocks.
CLOCK_STEP_S = 1.0


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


_Q, _S, _P, _I, _K, _H, _E = Status

#: The states that may follow each state.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    _Q: frozenset({_S, _H, _E}),
    _S: frozenset({_P, _Q, _I, _K, _H, _E}),
    _P: frozenset({_I, _K, _Q, _H, _E}),
    _I: frozenset({_S, _H, _E}),
    _K: frozenset({_I, _Q, _H, _E}),
    _H: frozenset({_Q, _I, _K, _E}),
    _E: frozenset(),
}


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
        self.due = self.announcement.due
        self.due_at = self.announcement.due_at
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
    def remaining_s(self) -> float:
        """Seconds of a complete clip that are still to be played; 0 while its length is unknown."""
        return max(0.0, (self.progress.synthesized_s or 0.0) - self.progress.position_s)

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
        """The first sample since it was started was written: what has begun is finished."""
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
