"""The policy of a speaker: the rules of urgency, repetition and quiet hours (docs/guides/urgency.md), and its settings.

The rules are pure functions over plain values. The settings are volume, mute and do not disturb, and what
follows from them and the configuration.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.audio.chimes import NO_CHIME
from edgevoice.audio.gain import effective_volume
from edgevoice.config.options import RepeatGrowth
from edgevoice.errors import InvalidAnnouncement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from edgevoice.announcement import Announcement, RepeatPolicy

#: Seconds for which a critical announcement is heard before another critical one may interrupt it.
UNDERSTOOD_S = 5.0
#: Seconds after its first sound for which an alert that waits for an acknowledgement repeats at most.
MAX_REPEAT_S = 3600.0
#: Seconds between two rounds at least, however much the configuration shrinks the gap.
MIN_REPEAT_GAP_S = 5.0
DEFAULT_CHIMES = {Urgency.HIGH: "attention", Urgency.CRITICAL: "alarm"}
#: Minutes for which do not disturb can be switched on at most.
MAX_DND_MINUTES = 7 * 24 * 60
_VOLUME = re.compile(r"[+-]?[0-9]{1,3}")
_ON = frozenset({"on", "true", "1"})
_OFF = frozenset({"off", "false", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldState:
    """Which of mute, do not disturb and quiet hours are on."""

    mute: bool = False
    dnd: bool = False
    quiet: bool = False

    def holds(self, urgency: Urgency, *, has_begun: bool = False) -> str | None:
        """Return why an announcement of this urgency is held, or None. Quiet hours hold none that has begun."""
        if urgency is Urgency.CRITICAL:
            return None
        if self.mute:
            return "mute"
        if self.dnd:
            return "do not disturb"
        if self.quiet and urgency is not Urgency.HIGH and not has_begun:
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
        # The same tag is the same thing: its newer text is played next instead of interrupting the older one.
        # Without tags, an unknown topic counts as a different thing.
        has_same_topic = new.topic is not None and new.topic == current.topic
        is_same_thing = new.tag == current.tag and (new.tag is not None or has_same_topic)
        return Preemption.NOW if heard_s >= UNDERSTOOD_S and not is_same_thing else Preemption.WAIT
    if new.urgency is Urgency.HIGH and current.urgency.rank < Urgency.HIGH.rank:
        return Preemption.AT_PAUSE
    return Preemption.WAIT


def is_same_alarm(new: Announcement, current: Announcement) -> bool:
    """Return whether a new critical announcement has the text that is playing, and does not resolve it."""
    return not new.resolves and new.text is not None and new.text == current.text


def is_update(new: Announcement, current: Announcement) -> bool:
    """Return whether a critical announcement brings another text for the tag that is playing."""
    if new.tag is None or new.tag != current.tag:
        return False
    return new.urgency is current.urgency is Urgency.CRITICAL and not is_same_alarm(new, current)


def replaces(new: Announcement, old: Announcement) -> bool:
    """Return whether `new` takes the place of `old` by their tag."""
    if new.tag is None or new.tag != old.tag:
        return False
    return new.resolves or new.urgency.rank >= old.urgency.rank


def next_gap(repeat: RepeatPolicy, rounds: int, since_first_s: float, growth: RepeatGrowth) -> float | None:
    """Return the seconds until the next round, or None after the last one.

    `rounds` were played, and the first of them began `since_first_s` seconds ago.
    """
    gap = max(MIN_REPEAT_GAP_S, repeat.every_s * growth.gap ** (rounds - 1))
    if repeat.until_ack:
        return gap if since_first_s + gap <= MAX_REPEAT_S else None
    return gap if rounds < (repeat.times or 1) else None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerPolicy:
    """The configuration of a speaker's behaviour; times in seconds, volumes in per cent."""

    quiet_volume: int = 30
    critical_volume: int = 70
    volumes: Mapping[Urgency, int] = field(default_factory=dict)
    quiet_hours: tuple[QuietWindow, ...] = ()
    chimes: Mapping[Urgency, str] = field(default_factory=lambda: DEFAULT_CHIMES)
    #: `on_request`, `at_end` or `off`.
    digest: str = "on_request"
    digest_keep: float = 43_200.0
    #: The age from which on an announcement says how old it is; None is never.
    say_age: float | None = None
    language: str = "en"
    growth: RepeatGrowth = field(default_factory=RepeatGrowth)
    #: The number of announcements that may wait.
    queue: int = 500


class SpeakerSettings:
    """The settings of one speaker. Times are monotonic seconds; `local_now` is the wall clock's time."""

    def __init__(self, policy: SpeakerPolicy, volume: int, local_now: Callable[[], datetime]) -> None:
        self.policy = policy
        self.local_now = local_now
        self.volume = volume
        self.mute = False
        #: When do not disturb ends; infinite if it was switched on without an end.
        self.dnd_until = 0.0

    def hold_state(self, now: float) -> HoldState:
        hours = self.policy.quiet_hours
        quiet = bool(hours) and is_quiet(hours, self.local_now())
        return HoldState(mute=self.mute, dnd=now < self.dnd_until, quiet=quiet)

    def effective_volume(self, announcement: Announcement, now: float, round_: int = 1) -> int:
        """Return the volume at which an announcement is played now."""
        policy = self.policy
        base = policy.volumes.get(announcement.urgency, self.volume)
        return effective_volume(
            announcement.volume,
            base,
            boost=policy.growth.volume * (round_ - 1),
            ceiling=policy.quiet_volume if self.hold_state(now).quiet else None,
            floor=policy.critical_volume if announcement.urgency is Urgency.CRITICAL else None,
        )

    def chime(self, announcement: Announcement) -> str | None:
        """Return the name of the chime that is played first, or None."""
        name = announcement.chime or self.policy.chimes.get(announcement.urgency, NO_CHIME)
        return None if name == NO_CHIME else name

    def restore(self, *, volume: int, mute: bool, dnd_until: float) -> None:
        """Take over the settings of the last run."""
        self.volume, self.mute, self.dnd_until = volume, mute, dnd_until

    def apply(self, name: str, value: str, now: float) -> None:
        """Change `volume`, `mute` or `dnd`.

        Raises:
            InvalidAnnouncement: the value is not allowed.
        """
        if name == "volume":
            self._set_volume(value)
        elif name == "mute":
            self.mute = _switch(name, value)
        elif value.isascii() and value.isdigit() and int(value[:6]) > 1:
            if int(value[:6]) > MAX_DND_MINUTES:
                allowed = f"ON, OFF, or up to {MAX_DND_MINUTES} minutes"
                raise InvalidAnnouncement("too long", key="dnd", allowed=allowed)
            self.dnd_until = now + int(value) * 60
        else:
            self.dnd_until = math.inf if _switch(name, value) else 0.0

    def _set_volume(self, value: str) -> None:
        matches = _VOLUME.fullmatch(value) is not None
        is_step = value[:1] in ("+", "-")
        if not matches or (not is_step and int(value) > 100):
            allowed = "0 to 100, or a step such as +5 or -5"
            raise InvalidAnnouncement(f"{value[:20]!r}", key="volume", allowed=allowed)
        self.volume = max(0, min(100, int(value) + (self.volume if is_step else 0)))


def _switch(name: str, value: str) -> bool:
    word = value.lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    minutes = ", or a number of minutes" if name == "dnd" else ""
    allowed = f"ON, OFF, true, false, 1 or 0{minutes}"
    raise InvalidAnnouncement(f"{value[:20]!r}", key=name, allowed=allowed)
