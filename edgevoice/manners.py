"""What the configuration says of how speakers behave and how much may be said, as plain values."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edgevoice.announcement import Urgency
from edgevoice.config.options import DAYS, PerMinute
from edgevoice.intake.buckets import Rate
from edgevoice.intake.storms import RateLimits
from edgevoice.speaker.insisting import Escalation
from edgevoice.speaker.presence import DEFAULT_CHIMES, SpeakerPolicy
from edgevoice.speaker.quiet import QuietWindow, minute_of_day

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgevoice.config import Settings
    from edgevoice.config.options import CoreOptions, QuietHours, SpeakerOptions


def speaker_policy(core: CoreOptions, speaker: SpeakerOptions) -> SpeakerPolicy:
    """The manners of one speaker; its own quiet hours take the place of everybody's."""
    hours = core.quiet_hours if speaker.quiet_hours is None else speaker.quiet_hours
    return SpeakerPolicy(
        volumes=speaker.volumes,
        quiet_volume=speaker.quiet_volume,
        critical_volume=speaker.critical_volume,
        quiet_hours=tuple(quiet_window(window) for window in hours),
        chimes=chimes_by_urgency(core),
        digest=core.digest or "off",
        digest_keep=core.digest_keep,
        say_age=core.say_age or None,
        language=core.lightning.language,
        growth=Escalation(core.insist.gap, core.insist.volume),
        queue=core.limits.queue,
    )


def quiet_window(hours: QuietHours) -> QuietWindow:
    """Quiet hours as a window.

    Raises:
        ValueError: a time of day that is none.
    """
    days = frozenset(DAYS.index(day) for day in hours.days)
    return QuietWindow(days, minute_of_day(hours.start), minute_of_day(hours.end))


def chimes_by_urgency(core: CoreOptions) -> Mapping[Urgency, str]:
    """The chime of each urgency."""
    if isinstance(core.chime, str):
        return dict.fromkeys(Urgency, core.chime)
    return {**DEFAULT_CHIMES, **core.chime} if isinstance(core.chime, dict) else DEFAULT_CHIMES


def rate_limits(core: CoreOptions) -> RateLimits:
    """How many announcements may come."""
    limits = core.limits
    return RateLimits(
        per_topic=_rate(limits.per_topic), total=_rate(limits.total), critical=_rate(limits.critical)
    )


def local_clock(core: CoreOptions) -> Callable[[], datetime]:
    """The time on the wall: of the configured time zone, else of the machine."""
    zone = ZoneInfo(core.timezone) if core.timezone else None
    return lambda: datetime.now(zone).astimezone(zone)


def chimes_dir(settings: Settings) -> Path | None:
    """The folder of the user's own chimes; a relative one lies beside the configuration."""
    named = settings.core.chimes_dir
    if named is None:
        return None
    folder = Path(named).expanduser()
    return folder if folder.is_absolute() or settings.file is None else settings.file.parent / folder


def _rate(given: PerMinute | bool) -> Rate | None:
    return Rate(given.per_minute, given.burst) if isinstance(given, PerMinute) else None
