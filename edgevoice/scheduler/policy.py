"""The rules of urgency, repetition and quiet hours (contract.md), as pure functions over plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from edgevoice.announcement import Announcement, RepeatPolicy

#: Seconds for which a critical announcement is heard before another critical one may interrupt it.
UNDERSTOOD_S = 5.0
#: Seconds after its first sound for which an alert that waits for an acknowledgement repeats at most.
MAX_REPEAT_S = 3600.0
#: Seconds between two rounds at least, however much the configuration shrinks the gap.
MIN_REPEAT_GAP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldState:
    """Which of mute, do not disturb and quiet hours are on."""

    mute: bool = False
    dnd: bool = False
    quiet: bool = False

    def holds(self, urgency: Urgency) -> str | None:
        """Return why an announcement of this urgency is held, or None."""
        if urgency is Urgency.CRITICAL:
            return None
        if self.mute:
            return "mute"
        if self.dnd:
            return "do not disturb"
        if self.quiet and urgency is not Urgency.HIGH:
            return "quiet hours"
        return None


class Preemption(Enum):
    """The effect of a new announcement on the playing one."""

    #: The new announcement waits for the end of the playing one.
    WAIT = auto()
    #: The new announcement interrupts at the next pause.
    AT_PAUSE = auto()
    #: The new announcement interrupts at once.
    NOW = auto()
    #: The new announcement has the same text and is not played again.
    COALESCE = auto()


def preemption_for(new: Announcement, current: Announcement, heard_s: float) -> Preemption:
    """Return what `new` does to `current`, of which `heard_s` seconds were heard."""
    if new.urgency is Urgency.CRITICAL:
        if current.urgency is not Urgency.CRITICAL:
            return Preemption.NOW
        if is_same_alarm(new, current):
            return Preemption.COALESCE
        may_interrupt = heard_s >= UNDERSTOOD_S and is_different_alarm(new, current)
        return Preemption.NOW if may_interrupt else Preemption.WAIT
    if new.urgency is Urgency.HIGH and current.urgency.rank < Urgency.HIGH.rank:
        return Preemption.AT_PAUSE
    return Preemption.WAIT


def is_different_alarm(new: Announcement, current: Announcement) -> bool:
    """Return whether two critical announcements are about different things.

    The same tag is the same thing: its newer text is played next instead of interrupting the older one.
    An unknown topic counts as a different one.
    """
    if new.tag is not None and new.tag == current.tag:
        return False
    return new.topic is None or new.topic != current.topic or new.tag != current.tag


def is_same_alarm(new: Announcement, current: Announcement) -> bool:
    """Return whether a new critical announcement has the text that is playing, and does not resolve it."""
    return not new.resolves and new.text is not None and new.text == current.text


def is_update(new: Announcement, current: Announcement) -> bool:
    """Return whether a critical announcement brings another text for the tag that is playing."""
    both_critical = new.urgency is current.urgency is Urgency.CRITICAL
    return (
        both_critical and new.tag is not None and new.tag == current.tag and not is_same_alarm(new, current)
    )


def replaces(new: Announcement, old: Announcement) -> bool:
    """Return whether `new` takes the place of `old` by their tag."""
    if new.tag is None or new.tag != old.tag:
        return False
    return new.resolves or new.urgency.rank >= old.urgency.rank


@dataclass(frozen=True, slots=True)
class RepeatGrowth:
    """How a repeating alert becomes more insistent with each round."""

    #: Each gap is this many times the one before.
    gap: float = 1.0
    #: Each round is this many per cent louder than the one before.
    volume: int = 0


def next_gap(repeat: RepeatPolicy, rounds: int, since_first_s: float, growth: RepeatGrowth) -> float | None:
    """Return the seconds until the next round, or None after the last one.

    `rounds` were played, and the first of them began `since_first_s` seconds ago.
    """
    gap = max(MIN_REPEAT_GAP_S, repeat.every_s * growth.gap ** (rounds - 1))
    if repeat.until_ack:
        return gap if since_first_s + gap <= MAX_REPEAT_S else None
    return gap if rounds < (repeat.times or 1) else None


def volume_boost(round_: int, growth: RepeatGrowth) -> int:
    """Return by how many per cent a round is louder than the first."""
    return growth.volume * (round_ - 1)


@dataclass(frozen=True, slots=True)
class QuietWindow:
    """From `start` to `end`, in minutes after local midnight, on each of `days` (0 is Monday).

    The day is the one on which the window begins. A window whose end is not after its start continues
    into the next day.
    """

    days: frozenset[int]
    start: int
    end: int

    def contains(self, weekday: int, minute: int) -> bool:
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        before = (weekday - 1) % 7
        return (weekday in self.days and minute >= self.start) or (before in self.days and minute < self.end)


def is_quiet(windows: Iterable[QuietWindow], local: datetime) -> bool:
    """Return whether a local time lies in any of the windows.

    Compares wall-clock time, so a skipped DST hour is never quiet and a repeated one is quiet twice.
    """
    minute = local.hour * 60 + local.minute
    return any(window.contains(local.weekday(), minute) for window in windows)
