"""How much audio is needed: the order in which requests are served."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Priority(IntEnum):
    """The purpose of a synthesis request."""

    #: Pre-render a configured phrase in the background.
    PRERENDER = 0
    #: Synthesize the next announcement during playback of another one.
    PREFETCH = 1
    #: A speaker is waiting for this audio now.
    NEEDED_NOW = 2


class Rank(NamedTuple):
    """The order of requests: by priority, then by urgency (`Urgency.rank`)."""

    priority: Priority
    urgency: int
