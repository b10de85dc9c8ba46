"""Timeouts of critical segments, which are shorter once a speaker is waiting."""

from types import SimpleNamespace

import pytest

from edgevoice import Urgency
from edgevoice.announcement import Priority
from edgevoice.config.options import CoreOptions
from edgevoice.plugin import Role, SpeechOptions
from edgevoice.synthesis.context import SegmentJob, SynthesisContext, Timeouts
from edgevoice.synthesis.deadlines import (
    NO_SCHEDULE,
    fallback_schedule,
    first_audio_timeout,
    next_audio_timeout,
)
from edgevoice.synthesis.segments import TextSegment
from tests.support.announcements import NoSynthesis, announcement

TRANSPORTS = {
    "websocket": SimpleNamespace(role=Role.PRIMARY, account="lightning"),
    "piper": SimpleNamespace(role=Role.FALLBACK, account=None),
}
BOTH = ["websocket", "piper"]


def job_of(need, urgency=Urgency.CRITICAL):
    speech = NoSynthesis().new_job(announcement(urgency, text="Fire."))
    speech.request(priority=need)
    context = SynthesisContext(
        TRANSPORTS, CoreOptions(), SpeechOptions(), {}, fault=lambda _part, _what: None
    )
    return SegmentJob(
        context, speech, TextSegment(speech.announcement, SpeechOptions(), "Fire.", 0, 5), speech.clip
    )


async def test_what_is_made_ahead_has_no_cues_and_the_patience_of_what_is_less_urgent():
    ahead, high = job_of(Priority.PREFETCH), job_of(Priority.NEEDED_NOW, Urgency.HIGH)
    assert fallback_schedule(ahead, BOTH, 100.0) is NO_SCHEDULE
    assert first_audio_timeout(ahead) == first_audio_timeout(high)
    assert next_audio_timeout(ahead, 100.0, is_last_resort=False) == Timeouts().stall_s


async def test_the_deadline_counts_from_the_need_whatever_was_waited_for_since():
    job = job_of(Priority.PREFETCH)
    job.speech.request(priority=Priority.NEEDED_NOW)
    needed = job.speech.needed_since
    assert (
        fallback_schedule(job, BOTH, needed + 0.4).unmute_local == needed + job.context.core.critical_deadline
    )


async def test_what_was_made_ahead_is_heard_from_the_need_on():
    job = job_of(Priority.PREFETCH)
    await job.clip.append(bytes(2 * job.clip.rate))
    job.speech.first_audio_at = 1.0
    job.speech.request(priority=Priority.NEEDED_NOW)
    needed = job.speech.needed_since
    assert job.speech.runs_out_at == needed + 1
    assert next_audio_timeout(job, needed, is_last_resort=False) == pytest.approx(
        1 + job.context.core.critical_deadline
    )


async def test_where_nobody_could_take_over_there_are_no_cues():
    assert fallback_schedule(job_of(Priority.NEEDED_NOW), ["websocket"], 100.0) is NO_SCHEDULE
