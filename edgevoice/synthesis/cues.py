"""When somebody else begins, because a critical part is not heard in time: pure functions of moments.

All are monotonic seconds, None for never.
"""

from __future__ import annotations

from dataclasses import dataclass

STANDBY_LEAD_SHARE = 0.5
"""The share of the deadline that the local voice is given to get ready: its process may have to start."""
GRACE_S = 5.0
"""Seconds behind the deadline after which the local voice, too, counts as failed."""


@dataclass(frozen=True, slots=True)
class FallbackSchedule:
    """The understudy, which is the local voice, begins `ready`, and sounds from `sound` on if nobody did before.

    Nobody is waited for beyond `over`.
    """

    start_local: float | None = None
    unmute_local: float | None = None
    give_up: float | None = None

    def next(self, now: float) -> float | None:
        """The first that is still to come."""
        cues = (self.start_local, self.unmute_local, self.give_up)
        return min((cue for cue in cues if cue is not None and cue > now), default=None)


NO_SCHEDULE = FallbackSchedule()


def compute_schedule(since: float, dry: float, deadline: float, *, understudy: bool) -> FallbackSchedule:
    """The cues of a critical part that is waited for `since` then, while the clip has audio until `dry`."""
    due = max(since, dry) + deadline
    if not understudy:
        return FallbackSchedule(give_up=due)
    return FallbackSchedule(
        start_local=due - deadline * STANDBY_LEAD_SHARE, unmute_local=due, give_up=due + GRACE_S
    )


def is_due(cue: float | None, now: float) -> bool:
    """Whether a cue was given by now."""
    return cue is not None and now >= cue
