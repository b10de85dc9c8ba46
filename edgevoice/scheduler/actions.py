"""Inputs and outputs of the scheduler: playback events, and the actions that every input returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement, Priority
    from edgevoice.outcome import EventType
    from edgevoice.scheduler.queue import Progress, QueueItem


class Admission(Enum):
    """The fate of an announcement if it were submitted now."""

    #: Its id waits, is held, is playing or finished within 24 h.
    DUPLICATE = auto()
    #: A critical announcement whose text is playing already ends `replaced`.
    COALESCED = auto()
    QUEUED = auto()


class Action:
    """A task for the speaker; actions are executed in their order."""


@dataclass(frozen=True, slots=True)
class Emit(Action):
    """Tell the observers an event of an item, with its volume and progress as they were at that moment."""

    item: QueueItem
    type: EventType
    reason: str | None
    volume: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Play(Action):
    """Play an item; positions are seconds of its clip."""

    item: QueueItem
    from_s: float
    #: Not None: search the last pause before `from_s` and continue there, but not before this position.
    resume_not_before_s: float | None
    #: The chime that is played first, by name.
    chime: str | None
    volume: int
    #: The monotonic second at which a lost output is given up if nothing was heard; None: its ttl from the loss.
    deadline: float | None


@dataclass(frozen=True, slots=True)
class SetVolume(Action):
    """Change the volume of the item that is playing."""

    volume: int


class StopNow(Action):
    """Stop the player at once; it answers with `Stopped`, or `Finished` if it was faster."""


class StopAtPause(Action):
    """Look for the next pause in the playing item; answer with `PauseReached`."""


class CancelStopAtPause(Action):
    """Look for a pause no longer."""


class Park(Action):
    """End the playback of live text that fell silent after what was written; it answers with `Finished`."""


@dataclass(frozen=True, slots=True)
class WatchText(Action):
    """Answer with `TextArrived` once a parked item can continue."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Prefetch(Action):
    """Synthesize an item at this priority; it will be played at about `by` (monotonic seconds)."""

    item: QueueItem
    priority: Priority
    by: float


@dataclass(frozen=True, slots=True)
class CancelPrefetch(Action):
    """Give up what is synthesized ahead for an item; it is asked for again later."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Escalate(Action):
    """Submit an alert that was not acknowledged to the further targets of its `repeat`."""

    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Release(Action):
    """Let go of an item: its synthesis is needed no longer on this speaker."""

    item: QueueItem
    #: The item has no outcome yet, and must be kept for the next start of the daemon.
    keep: bool = False


@dataclass(frozen=True, slots=True)
class PlaybackEvent:
    """A report about an item from the player, or about its clip."""

    item: QueueItem


class Started(PlaybackEvent):
    """The first sample of chime or speech was written to the output."""


class SpeechStarted(PlaybackEvent):
    """The first sample of speech was written to the output."""


@dataclass(frozen=True, slots=True)
class Resumed(PlaybackEvent):
    """The player found the position from which an interrupted item continues."""

    position_s: float


@dataclass(frozen=True, slots=True)
class Progressed(PlaybackEvent):
    """The clip was heard up to `position_s`; `buffered_s` more are synthesized."""

    position_s: float
    buffered_s: float


class PauseReached(PlaybackEvent):
    """A pause is being heard, or was waited for long enough."""


class Starved(PlaybackEvent):
    """Live text fell silent, and all of it was written."""


class Refilled(PlaybackEvent):
    """Live text that fell silent continues."""


class Finished(PlaybackEvent):
    """The player ended by itself, and all that was written was heard."""


class Stopped(PlaybackEvent):
    """The player was stopped."""


@dataclass(frozen=True, slots=True)
class Failed(PlaybackEvent):
    """The player ended with an error."""

    error: str


@dataclass(frozen=True, slots=True)
class Synthesized(PlaybackEvent):
    """The clip of an item that waits is complete, and this many seconds long."""

    seconds: float


class TextArrived(PlaybackEvent):
    """A parked item can continue."""
