"""Quiet hours: windows by weekday and local time, right over midnight and daylight saving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class QuietWindow:
    """From `start` to `end`, minutes after local midnight, on each of `days` (0 is Monday).

    The day is the one the window begins on; one whose end is not after its start goes on into the next.
    """

    days: frozenset[int]
    start: int
    end: int

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether a local minute of a weekday lies in it."""
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        before = (weekday - 1) % 7
        return (weekday in self.days and minute >= self.start) or (before in self.days and minute < self.end)


def is_quiet(windows: Iterable[QuietWindow], moment: datetime) -> bool:
    """Whether `moment`, in local time, lies in any of the windows.

    Only what the clock on the wall shows counts: an hour that daylight saving skips is never quiet, one
    that it repeats is quiet both times.
    """
    minute = moment.hour * 60 + moment.minute
    return any(window.holds(moment.weekday(), minute) for window in windows)


def minute_of_day(value: int | str) -> int:
    """Minutes after midnight of "22:00"; YAML reads an unquoted 22:00 as that very number.

    Raises:
        ValueError: no time of day.
    """
    if isinstance(value, str):
        hours, colon, minutes = value.partition(":")
        if not (colon and hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit()):
            raise ValueError(f'{value!r} is no time of day, such as "22:00"')
        if len(hours) > 2 or len(minutes) != 2 or int(minutes) > 59:
            raise ValueError(f'{value!r} is no time of day, such as "22:00"')
        value = int(hours) * 60 + int(minutes)
    elif value < 60:  # YAML reads 0:30 as text, so this is no time but an hour without its minutes
        raise ValueError(f'{value!r} is no time of day, such as "22:00"')
    if not 0 <= value <= DAY:
        raise ValueError(f'{value!r} is no time of day, such as "22:00"')
    return value % DAY
