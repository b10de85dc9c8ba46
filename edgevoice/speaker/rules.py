"""The rules of urgency, as the contract states them: pure functions over plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement

UNDERSTOOD = 5.0
"""Seconds for which a critical one is heard before another critical one may interrupt it."""
NEXT_PAUSE = 2.0
"""Seconds within which a high one interrupts, at the next pause or without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """What a speaker is told about when it may speak."""

    mute: bool = False
    dnd: bool = False
    quiet: bool = False

    def holds(self, urgency: Urgency) -> str | None:
        """Why an announcement of this urgency is held, or None."""
        if urgency is Urgency.CRITICAL:
            return None
        if self.mute:
            return "mute"
        if self.dnd:
            return "do not disturb"
        if self.quiet and urgency is not Urgency.HIGH:
            return "quiet hours"
        return None


class Against(Enum):
    """What a new announcement does to the one that is being said."""

    WAIT = auto()
    AT_PAUSE = auto()
    NOW = auto()
    JOIN = auto()


def against(new: Announcement, current: Announcement, heard_s: float) -> Against:
    """What `new` does to `current`, of which `heard_s` seconds were heard."""
    if new.urgency is Urgency.CRITICAL:
        if current.urgency is not Urgency.CRITICAL:
            return Against.NOW
        if is_same_alarm(new, current):
            return Against.JOIN
        return Against.NOW if heard_s >= UNDERSTOOD and is_another(new, current) else Against.WAIT
    if new.urgency is Urgency.HIGH and current.urgency.rank < Urgency.HIGH.rank:
        return Against.AT_PAUSE
    return Against.WAIT


def is_another(new: Announcement, current: Announcement) -> bool:
    """Whether two come from different topics, or have different tags; a topic that is not known is another."""
    return new.topic is None or new.topic != current.topic or new.tag != current.tag


def is_same_alarm(new: Announcement, current: Announcement) -> bool:
    """Whether a new critical one says what is being said, by tag or by text, and does not end it."""
    if new.resolves:
        return False
    if new.tag is not None and new.tag == current.tag:
        return True
    return new.text is not None and new.text == current.text


def replaces(new: Announcement, old: Announcement) -> bool:
    """Whether `new` takes the place of `old` by their tag."""
    if new.tag is None or new.tag != old.tag:
        return False
    return new.resolves or new.urgency.rank >= old.urgency.rank
