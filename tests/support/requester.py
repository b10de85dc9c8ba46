"""A request to the concurrency limiter of an account."""

from __future__ import annotations

from edgevoice.announcement import Priority, Rank, Urgency


class Requester:
    """Its rank may change."""

    def __init__(self, urgency: Urgency = Urgency.NORMAL, need: Priority = Priority.NEEDED_NOW) -> None:
        self.urgency, self.need = urgency, need

    @property
    def rank(self) -> Rank:
        return Rank(self.need, self.urgency.rank)
