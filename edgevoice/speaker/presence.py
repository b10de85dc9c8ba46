"""How a speaker may speak now: its switches, its quiet hours, how loud, and with which chime."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.speaker import insisting, volume
from edgevoice.speaker.quiet import QuietWindow, is_quiet
from edgevoice.speaker.rules import Posture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from edgevoice.announcement import Announcement

NO_CHIME = "none"
VOLUME = re.compile(r"[+-]?[0-9]{1,3}")
DEFAULT_CHIMES = {Urgency.HIGH: "attention", Urgency.CRITICAL: "alarm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerPolicy:
    """What the configuration says of a speaker's behaviour; times in seconds."""

    quiet_volume: int = 30
    critical_volume: int = 70
    volumes: Mapping[Urgency, int] = field(default_factory=dict)
    quiet_hours: tuple[QuietWindow, ...] = ()
    chimes: Mapping[Urgency, str] = field(default_factory=lambda: DEFAULT_CHIMES)
    digest: str = "on_request"
    digest_keep: float = 43_200.0
    say_age: float | None = None
    language: str = "en"
    growth: insisting.Escalation = field(default_factory=insisting.Escalation)
    queue: int = 500


class SpeakerSettings:
    """The switches of a speaker, and what follows from them.

    `local_now` is the time on its wall, `clock` monotonic seconds; `dnd_until` is in the latter, infinite
    where do not disturb was switched on without an end.
    """

    def __init__(
        self,
        manners: SpeakerPolicy,
        volume: int,
        local_now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manners = manners
        self.volume = volume
        self.mute = False
        self.dnd_until = 0.0
        self._local_now = local_now
        self._clock = clock

    @property
    def posture(self) -> Posture:
        """What holds now."""
        quiet = is_quiet(self.manners.quiet_hours, self._local_now())
        return Posture(mute=self.mute, dnd=self._clock() < self.dnd_until, quiet=quiet)

    def set_dnd(self, *, on: bool = True, minutes: int | None = None) -> None:
        """Switch do not disturb on, for some minutes or until it is switched off, or off."""
        lasting = math.inf if minutes is None else self._clock() + minutes * 60
        self.dnd_until = lasting if on else 0.0

    @property
    def next_change(self) -> float | None:
        """When do not disturb ends by itself."""
        return self.dnd_until if self._clock() < self.dnd_until < math.inf else None

    def loudness(self, announcement: Announcement, round_: int = 1) -> int:
        """The volume to say it at now, in per cent."""
        manners = self.manners
        base = manners.volumes.get(announcement.urgency, self.volume)
        return volume.effective_volume(
            announcement.volume,
            base,
            louder=insisting.volume_boost(round_, manners.growth),
            ceiling=manners.quiet_volume if self.posture.quiet else None,
            floor=manners.critical_volume if announcement.urgency is Urgency.CRITICAL else None,
        )

    def chime(self, announcement: Announcement) -> str | None:
        """The name of the chime before it, or None."""
        name = announcement.chime or self.manners.chimes.get(announcement.urgency, NO_CHIME)
        return None if name == NO_CHIME else name

    def set_volume(self, value: str) -> None:
        """Take 0 to 100, or a step such as +5 or -5.

        Raises:
            ValueError: anything else.
        """
        if not VOLUME.fullmatch(value):
            raise ValueError(value)
        step, number = value[0] in "+-", int(value)
        if not step and number > 100:
            raise ValueError(value)
        self.volume = max(0, min(100, self.volume + number if step else number))
