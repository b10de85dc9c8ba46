"""Timeouts of critical segments, which are shorter once a speaker is waiting, when the standby helps, and hedges."""

from types import SimpleNamespace

import pytest

from edgevoice import Urgency
from edgevoice.announcement import Priority
from edgevoice.config.options import CoreOptions
from edgevoice.plugin import Role, SpeechOptions
from edgevoice.synthesis.race import ClipFiller, Race
from edgevoice.synthesis.segments import Segment
from edgevoice.synthesis.synthesizer import HedgeBudget, SynthesisContext, Timeouts
from tests.support.announcements import NoSynthesis, announcement

TRANSPORTS = {
    "websocket": SimpleNamespace(role=Role.PRIMARY, account="lightning"),
    "http": SimpleNamespace(role=Role.PRIMARY, account="lightning"),
    "piper": SimpleNamespace(role=Role.FALLBACK, account=None),
}
BOTH = ("websocket", "piper")
DEADLINE_S = CoreOptions().critical_deadline
GRACE_S = Timeouts().standby_grace_s


def race_of(need, urgency=Urgency.CRITICAL, candidates=BOTH):
    speech = NoSynthesis().new_job(announcement(urgency, text="Fire."))
    speech.request(priority=need)
    context = SynthesisContext(
        TRANSPORTS, CoreOptions(), SpeechOptions(), {}, fault=lambda _part, _what: None
    )
    filler = ClipFiller(context, speech)
    filler.candidates = list(candidates)
    return speech, Race(filler, Segment(speech.announcement, SpeechOptions(), "Fire.", 0, 5))


async def test_prefetch_has_no_schedule_and_the_timeouts_of_high():
    _, ahead = race_of(Priority.PREFETCH)
    _, high = race_of(Priority.NEEDED_NOW, Urgency.HIGH)
    assert ahead.fallback_schedule(100.0) is None
    assert ahead.first_audio_timeout_s == high.first_audio_timeout_s
    assert ahead.next_audio_timeout_s(100.0) == Timeouts().stall_s


async def test_the_deadline_counts_from_the_need_whatever_was_waited_for_since():
    speech, race = race_of(Priority.PREFETCH)
    speech.request(priority=Priority.NEEDED_NOW)
    needed = speech.needed_since
    assert race.fallback_schedule(needed + 0.4).unmute_local == needed + DEADLINE_S


async def test_schedule_starts_when_the_segment_is_needed():
    speech, race = race_of(Priority.PREFETCH)
    await speech.clip.append(bytes(2 * speech.clip.rate))
    speech.first_audio_at = 1.0
    speech.request(priority=Priority.NEEDED_NOW)
    needed = speech.needed_since
    assert speech.runs_out_at == needed + 1
    assert race.next_audio_timeout_s(needed) == pytest.approx(1 + DEADLINE_S)


async def test_no_schedule_for_the_only_transport():
    _, race = race_of(Priority.NEEDED_NOW, candidates=["websocket"])
    assert race.fallback_schedule(100.0) is None


async def test_the_local_voice_is_ready_before_the_deadline_and_sounds_at_it():
    speech, race = race_of(Priority.NEEDED_NOW)
    needed = speech.needed_since
    cues = race.fallback_schedule(needed)
    assert needed < cues.start_local < needed + DEADLINE_S
    assert (cues.unmute_local, cues.give_up) == (needed + DEADLINE_S, needed + DEADLINE_S + GRACE_S)


async def test_while_there_is_audio_to_be_heard_nothing_is_late():
    speech, race = race_of(Priority.NEEDED_NOW)
    await speech.clip.append(bytes(2 * 7 * speech.clip.rate))
    now = speech.needed_since
    cues = race.fallback_schedule(now)
    assert cues.unmute_local == now + 7 + DEADLINE_S
    assert now + 7 < cues.start_local < cues.unmute_local


async def test_a_later_segment_has_its_deadline_from_its_own_beginning():
    speech, race = race_of(Priority.NEEDED_NOW)
    await speech.clip.append(bytes(2 * speech.clip.rate))
    begun = speech.needed_since + 10
    assert race.fallback_schedule(begun).unmute_local == begun + DEADLINE_S


async def test_with_no_local_voice_the_deadline_is_the_end():
    speech, race = race_of(Priority.NEEDED_NOW, candidates=["websocket", "http"])
    due = speech.needed_since + DEADLINE_S
    assert race.fallback_schedule(speech.needed_since) == (None, None, due)


def test_a_tenth_more_requests_may_be_made():
    budget, further = HedgeBudget(), 0
    for _ in range(1000):
        budget.earn()
        further += budget.spend()
    assert further == 100


def test_hedge_budget_has_a_maximum():
    budget, further = HedgeBudget(), 0
    for _ in range(1000):
        budget.earn()
    while budget.spend():
        further += 1
    assert further == HedgeBudget.MAX
