"""Timeouts for the first and the next audio of a segment, and the schedule of the standby for critical ones.

Critical segments get shorter timeouts once a speaker is waiting. See docs/decisions/deadlines-and-hedging.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Priority, Urgency
from edgevoice.synthesis.segments import LiveSegment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgevoice.synthesis.context import SegmentJob, Timeouts
    from edgevoice.synthesis.speech import SpeechJob


def first_audio_timeout(job: SegmentJob) -> float:
    """Return the seconds to the first audio of a request, where another transport is left."""
    urgency = job.speech.announcement.urgency
    if urgency is Urgency.CRITICAL and not _is_pressing(job.speech):
        urgency = Urgency.HIGH
    delay_s = job.context.timeouts.live_text_s if isinstance(job.segment, LiveSegment) else 0
    return job.context.core.first_audio_within(urgency) + delay_s


def next_audio_timeout(job: SegmentJob, now: float, *, is_last_resort: bool) -> float:
    """Return the seconds to the next audio: critical speech fails over as soon as its buffer runs out."""
    stall_s = job.context.timeouts.stall_s
    if is_last_resort or not _is_pressing(job.speech):
        return stall_s
    buffered_s = max(0.0, job.speech.runs_out_at - now)
    return min(stall_s, buffered_s + job.context.core.critical_deadline)


@dataclass(frozen=True, slots=True)
class FallbackSchedule:
    """When the standby (fallback) voice helps a critical segment; monotonic seconds, None for never.

    It starts at `start_local` and is unmuted at `unmute_local`, unless a transport delivered audio first. At
    `give_up` the segment fails.
    """

    start_local: float | None = None
    unmute_local: float | None = None
    give_up: float | None = None

    def next(self, now: float) -> float | None:
        """Return the first of these moments that is still to come."""
        moments = (self.start_local, self.unmute_local, self.give_up)
        return min((at for at in moments if at is not None and at > now), default=None)


NO_SCHEDULE = FallbackSchedule()


def fallback_schedule(job: SegmentJob, candidates: Sequence[str], now: float) -> FallbackSchedule:
    """Return the schedule of a segment that is needed from now on; none for the only transport left."""
    speech = job.speech
    if not _is_pressing(speech) or len(candidates) == 1:
        return NO_SCHEDULE
    has_fallback = any(job.context.is_fallback(name) for name in candidates)
    is_first = speech.text is not None and not job.clip.frames
    return compute_schedule(
        speech.runs_out_at if is_first else now,
        speech.runs_out_at,
        first_audio_timeout(job),
        job.context.timeouts,
        has_standby=has_fallback and not isinstance(job.segment, LiveSegment),
    )


def compute_schedule(
    since: float, runs_out_at: float, deadline_s: float, timeouts: Timeouts, *, has_standby: bool
) -> FallbackSchedule:
    """Return the schedule of a segment that is needed `since`, while the clip has audio until `runs_out_at`."""
    due = max(since, runs_out_at) + deadline_s
    if not has_standby:
        return FallbackSchedule(give_up=due)
    start = due - deadline_s * timeouts.standby_lead_share
    return FallbackSchedule(start, unmute_local=due, give_up=due + timeouts.standby_grace_s)


def is_due(at: float | None, now: float) -> bool:
    return at is not None and now >= at


def _is_pressing(speech: SpeechJob) -> bool:
    """Whether a speaker is silent until this critical speech is there."""
    return speech.announcement.urgency is Urgency.CRITICAL and speech.priority is Priority.NEEDED_NOW
