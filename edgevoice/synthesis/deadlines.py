"""How long a passage is waited for: where it is critical for less, once somebody is silent until it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.priority import Priority
from edgevoice.synthesis.segments import LiveSegment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgevoice.synthesis.context import SegmentJob
    from edgevoice.synthesis.speech import SpeechJob

LAST_RESORT_TIMEOUT_S = 60.0
"""Seconds to the first audio where no other transport is left to go to."""
LIVE_TEXT_DELAY_S = 5.0
"""Seconds that live text may add to the first audio: the server waits for a sentence's end."""
STALL_TIMEOUT_S = 10.0
"""Seconds without audio in mid-speech after which a transport counts as dead."""


def first_audio_timeout(passage: SegmentJob) -> float:
    """Seconds to the first audio of a request, where there is another transport to go to."""
    urgency = passage.speech.announcement.urgency
    if urgency is Urgency.CRITICAL and not _is_pressing(passage.speech):
        urgency = Urgency.HIGH
    delay = LIVE_TEXT_DELAY_S if isinstance(passage.part, LiveSegment) else 0
    return passage.means.core.first_audio_within(urgency) + delay


def next_audio_timeout(passage: SegmentJob, now: float, *, alone: bool) -> float:
    """Seconds to the next audio: what is critical must not fall silent, once the clip has run dry."""
    if alone or not _is_pressing(passage.speech):
        return STALL_TIMEOUT_S
    dry = max(0.0, passage.speech.runs_out_at - now)
    return min(STALL_TIMEOUT_S, dry + passage.means.core.critical_deadline)


def fallback_schedule(passage: SegmentJob, left: Sequence[str], now: float) -> FallbackSchedule:
    """The cues of a passage that is begun now, or needed from now on; none where no other transport is left."""
    speech = passage.speech
    if not _is_pressing(speech) or len(left) == 1:
        return NO_SCHEDULE
    is_first = speech.text is not None and not passage.clip.frames
    has_fallback = any(passage.means.is_fallback(name) for name in left)
    understudy = has_fallback and not isinstance(passage.part, LiveSegment)
    since = speech.runs_out_at if is_first else now
    return compute_schedule(since, speech.runs_out_at, first_audio_timeout(passage), understudy=understudy)


def _is_pressing(speech: SpeechJob) -> bool:
    return speech.announcement.urgency is Urgency.CRITICAL and speech.priority is Priority.NEEDED_NOW


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
