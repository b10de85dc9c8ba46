"""Inputs and outputs of the scheduler: playback events, and the actions that every input returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement, Priority
    from edgevoice.outcome import EventType
    from edgevoice.scheduler.item import QueueItem


class Admission(Enum):
    """The fate of an announcement if it were submitted now."""

    #: Its id waits, is held, is playing or finished within 24 h.
    DUPLICATE = auto()
    #: A critical announcement whose text is playing already ends `replaced`.
    COALESCED = auto()
    QUEUED = auto()


# Actions, to be executed in their order


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the observers an event of an item; the fields are the item's as they were at that moment."""

    item: QueueItem
    type: EventType
    reason: str | None
    volume: int
    round: int
    spoken_s: float | None
    first_sound_at: float | None
    first_speech_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Play:
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
class SetVolume:
    """Change the volume of the item that is playing."""

    volume: int


@dataclass(frozen=True, slots=True)
class StopNow:
    """Stop the player at once; it answers with `Stopped`, or `Finished` if it was faster."""


@dataclass(frozen=True, slots=True)
class StopAtPause:
    """Look for the next pause in the playing item; answer with `PauseReached`."""


@dataclass(frozen=True, slots=True)
class CancelStopAtPause:
    """Look for a pause no longer."""


@dataclass(frozen=True, slots=True)
class Park:
    """End the playback of live text that fell silent after what was written; it answers with `Finished`."""


@dataclass(frozen=True, slots=True)
class WatchText:
    """Answer with `TextArrived` once a parked item can continue."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Synthesize an item at this priority; it will be played at about `by` (monotonic seconds)."""

    item: QueueItem
    priority: Priority
    by: float


@dataclass(frozen=True, slots=True)
class CancelPrefetch:
    """Give up what is synthesized ahead for an item; it is asked for again later."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Escalate:
    """Submit an alert that was not acknowledged to the further targets of its `repeat`."""

    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep an item for the next start of the daemon; it has no outcome yet."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of an item: its synthesis is needed no longer on this speaker."""

    item: QueueItem


Action: TypeAlias = (
    Emit
    | Play
    | SetVolume
    | StopNow
    | StopAtPause
    | CancelStopAtPause
    | Park
    | WatchText
    | Prefetch
    | CancelPrefetch
    | Escalate
    | Keep
    | Release
)

# Playback events


@dataclass(frozen=True, slots=True)
class Started:
    """The first sample of chime or speech was written to the output."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The first sample of speech was written to the output."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Resumed:
    """The player found the position from which an interrupted item continues."""

    item: QueueItem
    position_s: float


@dataclass(frozen=True, slots=True)
class Progressed:
    """The clip was heard up to `position_s`; `buffered_s` more are synthesized."""

    item: QueueItem
    position_s: float
    buffered_s: float


@dataclass(frozen=True, slots=True)
class PauseReached:
    """A pause is being heard, or was waited for long enough."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Starved:
    """Live text fell silent, and all of it was written."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Refilled:
    """Live text that fell silent continues."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Finished:
    """The player ended by itself, and all that was written was heard."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Stopped:
    """The player was stopped."""

    item: QueueItem


@dataclass(frozen=True, slots=True)
class Failed:
    """The player ended with an error."""

    item: QueueItem
    error: str


@dataclass(frozen=True, slots=True)
class Synthesized:
    """The clip of an item that waits is complete, and this many seconds long."""

    item: QueueItem
    seconds: float


@dataclass(frozen=True, slots=True)
class TextArrived:
    """A parked item can continue."""

    item: QueueItem


PlaybackEvent: TypeAlias = (
    Started
    | SpeechStarted
    | Resumed
    | Progressed
    | PauseReached
    | Starved
    | Refilled
    | Finished
    | Stopped
    | Failed
    | Synthesized
    | TextArrived
)
