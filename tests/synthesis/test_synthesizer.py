"""The synthesis job of an announcement: filled once, at the highest priority of its speakers."""

import asyncio

import pytest

from edgevoice import SpeechOptions, Urgency
from edgevoice.announcement import Priority, Rank
from edgevoice.cache.cache import Cache
from edgevoice.config.options import CacheOptions, CoreOptions, Route
from edgevoice.errors import ClipError
from edgevoice.plugin import Transport
from edgevoice.synthesis.synthesizer import SynthesisContext, Synthesizer
from tests.support.announcements import NoSynthesis, announcement
from tests.support.caches import KEY_SCHEME

SOON, NOW = Priority.PREFETCH, Priority.NEEDED_NOW
SECOND = bytes(2 * 24_000)


@pytest.fixture
def synthesis():
    return NoSynthesis()


async def test_a_speech_is_filled_once_and_hurried_when_its_turn_comes(synthesis):
    speech = synthesis.new_job(announcement(Urgency.HIGH))
    clip = speech.clip
    for need, rank in (
        (Priority.PRERENDER, Priority.PRERENDER),
        (SOON, SOON),
        (Priority.PRERENDER, SOON),
        (NOW, NOW),
        (SOON, NOW),
    ):
        speech.request(priority=need)
        assert speech.rank == Rank(rank, Urgency.HIGH.rank)
    assert synthesis.filled == [speech]
    assert synthesis.hurried == 2
    assert speech.clip is clip


async def test_changed_text_is_synthesized_again_when_needed(synthesis):
    speech = synthesis.new_job(announcement(text="Hello."))
    speech.request(None, SOON)
    ahead = speech.clip
    await ahead.append(SECOND)
    speech.request(lambda text: f"1 minute ago: {text}", NOW)
    assert (speech.text, speech.clip.frames) == ("1 minute ago: Hello.", 0)
    assert ahead.ended
    assert synthesis.given_up == [speech]
    assert synthesis.filled == [speech, speech]


async def test_failed_prefetch_is_tried_again_when_needed(synthesis):
    speech = synthesis.new_job(announcement())
    speech.request(priority=SOON)
    speech.clip.finish(ClipError("no transport spoke"))
    speech.request(priority=SOON)
    assert synthesis.filled == [speech]
    speech.request()
    assert synthesis.filled == [speech, speech]
    assert not speech.clip.ended


class Slow(Transport):
    """Says what it is told to, when it is told to; asked again, nothing."""

    def __init__(self):
        self.asked = 0
        self.go = asyncio.Event()

    async def synthesize(self, request):
        self.asked += 1
        await (self.go.wait() if self.asked == 1 else asyncio.Event().wait())
        yield SECOND


async def test_dropped_clip_leaves_no_trace_in_the_new_one(tmp_path):
    slow = Slow()
    means = SynthesisContext({"local": slow}, CoreOptions(), SpeechOptions(), {}, lambda _part, _what: None)
    cache = Cache(tmp_path, CacheOptions(enabled=False), KEY_SCHEME)
    async with Synthesizer(means, [Route(use=["local"])], cache=cache, spool=lambda: tmp_path) as synthesis:
        speech = synthesis.new_job(announcement(text="Hello."))
        speech.request(priority=SOON)
        while not slow.asked:
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # until nothing moves but what the test moves
        slow.go.set()
        speech.request(lambda text: f"1 minute ago: {text}", NOW)
        for _ in range(5):
            await asyncio.sleep(0)
        assert (speech.transport, speech.first_audio_at, speech.is_faithful) == (None, None, True)


async def test_a_job_that_no_speaker_needs_any_more_is_cancelled_and_its_clip_closed(synthesis):
    job = synthesis.new_job(announcement())
    job.join()
    job.join()
    job.request()
    job.leave()
    assert not synthesis.given_up
    job.leave()
    assert synthesis.given_up == [job]
    assert job.clip.ended
