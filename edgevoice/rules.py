"""The rules of urgency: pure functions over plain values."""

from __future__ import annotations

from edgevoice.announcement import Urgency


def interrupts(new: Urgency, current: Urgency) -> bool:
    """Whether an announcement cuts in on what is being said."""
    return new is Urgency.CRITICAL and current is not Urgency.CRITICAL
