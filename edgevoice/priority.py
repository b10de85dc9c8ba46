"""How much audio is needed: the order in which requests are served."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Priority(IntEnum):
    """What a request is made for."""

    PRERENDER = 0
    """To be there in case it is wanted one day."""
    PREFETCH = 1
    """To be said next, while another is heard."""
    NEEDED_NOW = 2
    """Somebody is silent until it is there."""


class Rank(NamedTuple):
    """Who goes first: what is needed now before all that is made ahead, then by urgency (`Urgency.rank`)."""

    need: Priority
    urgency: int
