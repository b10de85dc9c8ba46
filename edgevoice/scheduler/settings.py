"""The settings of a speaker: volume, mute, do not disturb, and what follows from them and the configuration."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.audio.chimes import NO_CHIME
from edgevoice.audio.gain import effective_volume
from edgevoice.errors import InvalidAnnouncement
from edgevoice.scheduler.policy import HoldState, QuietWindow, RepeatGrowth, is_quiet, volume_boost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from edgevoice.announcement import Announcement

DEFAULT_CHIMES = {Urgency.HIGH: "attention", Urgency.CRITICAL: "alarm"}
#: Minutes for which do not disturb can be switched on at most.
MAX_DND_MINUTES = 7 * 24 * 60
_VOLUME = re.compile(r"[+-]?[0-9]{1,3}")
_ON = frozenset({"on", "true", "1"})
_OFF = frozenset({"off", "false", "0"})


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
        self._volume = volume
        self._mute = False
        self._dnd_until = 0.0

    @property
    def volume(self) -> int:
        return self._volume

    @property
    def mute(self) -> bool:
        return self._mute

    @property
    def dnd_until(self) -> float:
        """When do not disturb ends; infinite if it was switched on without an end."""
        return self._dnd_until

    def hold_state(self, now: float) -> HoldState:
        quiet = is_quiet(self.policy.quiet_hours, self.local_now())
        return HoldState(mute=self._mute, dnd=now < self._dnd_until, quiet=quiet)

    def next_change(self, now: float) -> float | None:
        """Return when do not disturb ends by itself."""
        return self._dnd_until if now < self._dnd_until < math.inf else None

    def effective_volume(self, announcement: Announcement, now: float, round_: int = 1) -> int:
        """Return the volume at which an announcement is played now."""
        policy = self.policy
        base = policy.volumes.get(announcement.urgency, self._volume)
        return effective_volume(
            announcement.volume,
            base,
            louder=volume_boost(round_, policy.growth),
            ceiling=policy.quiet_volume if self.hold_state(now).quiet else None,
            floor=policy.critical_volume if announcement.urgency is Urgency.CRITICAL else None,
        )

    def chime(self, announcement: Announcement) -> str | None:
        """Return the name of the chime that is played first, or None."""
        name = announcement.chime or self.policy.chimes.get(announcement.urgency, NO_CHIME)
        return None if name == NO_CHIME else name

    def restore(self, *, volume: int, mute: bool, dnd_until: float) -> None:
        """Take over the settings of the last run."""
        self._volume, self._mute, self._dnd_until = volume, mute, dnd_until

    def apply(self, name: str, value: str, now: float) -> None:
        """Change `volume`, `mute` or `dnd`.

        Raises:
            InvalidAnnouncement: the value is not allowed.
        """
        if name == "volume":
            self._set_volume(value)
        elif name == "mute":
            self._mute = _switch(name, value)
        elif value.isascii() and value.isdigit() and int(value[:6]) > 1:
            if int(value[:6]) > MAX_DND_MINUTES:
                allowed = f"ON, OFF, or up to {MAX_DND_MINUTES} minutes"
                raise InvalidAnnouncement("too long", key="dnd", allowed=allowed)
            self._dnd_until = now + int(value) * 60
        else:
            self._dnd_until = math.inf if _switch(name, value) else 0.0

    def _set_volume(self, value: str) -> None:
        matches = _VOLUME.fullmatch(value) is not None
        is_step = value[:1] in ("+", "-")
        if not matches or (not is_step and int(value) > 100):
            allowed = "0 to 100, or a step such as +5 or -5"
            raise InvalidAnnouncement(f"{value[:20]!r}", key="volume", allowed=allowed)
        self._volume = max(0, min(100, int(value) + (self._volume if is_step else 0)))


def _switch(name: str, value: str) -> bool:
    word = value.lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    minutes = ", or a number of minutes" if name == "dnd" else ""
    allowed = f"ON, OFF, true, false, 1 or 0{minutes}"
    raise InvalidAnnouncement(f"{value[:20]!r}", key=name, allowed=allowed)
