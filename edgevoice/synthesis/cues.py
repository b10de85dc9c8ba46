"""When somebody else begins, because a critical part is not heard in time: pure functions of moments.

All are monotonic seconds, None for never.
"""

from __future__ import annotations

from dataclasses import dataclass

REHEARSAL = 0.5
"""The share of the deadline that the local voice is given to get ready: its process may have to start."""
GRACE = 5.0
"""Seconds behind the deadline after which the local voice, too, counts as failed."""


@dataclass(frozen=True, slots=True)
class Cues:
    """The understudy, which is the local voice, begins `ready`, and sounds from `sound` on if nobody did before.

    Nobody is waited for beyond `over`.
    """

    ready: float | None = None
    sound: float | None = None
    over: float | None = None

    def next(self, now: float) -> float | None:
        """The first that is still to come."""
        cues = (self.ready, self.sound, self.over)
        return min((cue for cue in cues if cue is not None and cue > now), default=None)


NO_CUES = Cues()


def cues_for(since: float, dry: float, deadline: float, *, understudy: bool) -> Cues:
    """The cues of a critical part that is waited for `since` then, while the clip has audio until `dry`."""
    due = max(since, dry) + deadline
    if not understudy:
        return Cues(over=due)
    return Cues(ready=due - deadline * REHEARSAL, sound=due, over=due + GRACE)


def is_given(cue: float | None, now: float) -> bool:
    """Whether a cue was given by now."""
    return cue is not None and now >= cue
