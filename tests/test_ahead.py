"""What a speaker has made while another is heard: no more than is needed, and told as it is when its turn comes."""

import asyncio

import pytest

from edgevoice import SpeechOptions, Urgency
from edgevoice.cache.cache import Cache
from edgevoice.config.options import CacheOptions, CoreOptions, Route
from edgevoice.errors import ClipError
from edgevoice.plugin import Transport
from edgevoice.speaker import backlog
from edgevoice.synthesis.context import SynthesisContext
from edgevoice.synthesis.priority import Priority, Rank
from edgevoice.synthesis.synthesizer import Synthesizer
from tests.support.agenda import Kitchen
from tests.support.announcements import NoSynthesis, announcement
from tests.support.caches import RECIPE

SOON, NOW = Priority.PREFETCH, Priority.NEEDED_NOW
SECOND = bytes(2 * 24_000)


def coming(kitchen):
    """What is made besides what is being said, and how much it is needed."""
    made = [(turn.announcement.id, need) for turn, need, _ in kitchen.agenda.coming(kitchen.now)]
    if not kitchen.saying:
        return made
    assert made[:1] == [(kitchen.saying, NOW)]
    return made[1:]


async def made(kitchen, *names):
    """A second of speech each, complete."""
    for speech in kitchen.synthesis.speeches:
        if speech.announcement.id in names:
            await speech.clip.append(SECOND)
            speech.clip.finish()


async def test_only_the_next_one_is_made_until_it_is_whole():
    kitchen = Kitchen()
    for name in ("a", "b", "c"):
        kitchen.say(name)
    assert coming(kitchen) == [("a", NOW)]  # nothing is heard yet
    kitchen.take()
    assert coming(kitchen) == [("b", SOON)]
    await made(kitchen, "b")
    assert coming(kitchen) == [("b", SOON), ("c", SOON)]


async def test_no_more_is_made_than_some_seconds_of_sound():
    kitchen = Kitchen()
    names = [f"n{number}" for number in range(9)]
    for name in names:
        kitchen.say(name)
    kitchen.take()
    await made(kitchen, *names)
    assert [name for name, _ in coming(kitchen)] == names[1 : 1 + int(backlog.AHEAD)]


async def test_nothing_is_made_that_may_not_be_said_yet_or_is_held():
    kitchen = Kitchen()
    kitchen.say("now", ttl=900)
    kitchen.take(heard=1.0)
    kitchen.say("later", not_before=60)
    assert coming(kitchen) == []
    kitchen.wait(61)
    assert coming(kitchen) == [("later", SOON)]
    kitchen.presence.mute = True
    kitchen.wait(0)
    assert coming(kitchen) == []


async def test_what_is_to_cut_in_is_needed_now():
    kitchen = Kitchen()
    kitchen.say("long")
    kitchen.say("next")
    kitchen.take(heard=1.0)
    kitchen.say("high", "high")
    assert coming(kitchen) == [("high", NOW)]
    await made(kitchen, "high")
    assert coming(kitchen) == [("high", NOW), ("next", SOON)]
    kitchen.say("critical", "critical")
    assert coming(kitchen) == [("critical", NOW)]


async def test_it_is_known_by_when_each_is_needed():
    kitchen = Kitchen()
    for name in ("a", "b", "c"):
        kitchen.say(name)
    await made(kitchen, "a", "b")
    kitchen.take(heard=0.25)
    assert [by - kitchen.now for _, _, by in kitchen.agenda.coming(kitchen.now)] == [0.0, 0.75, 1.75]


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
        speech.request(need=need)
        assert speech.rank == Rank(rank, Urgency.HIGH.rank)
    assert synthesis.filled == [speech]
    assert synthesis.hurried == 2
    assert speech.clip is clip


async def test_what_would_be_told_in_other_words_when_its_turn_comes_is_made_anew(synthesis):
    speech = synthesis.new_job(announcement(text="Hello."))
    speech.request(None, SOON)
    ahead = speech.clip
    await ahead.append(SECOND)
    speech.request(lambda text: f"1 minute ago: {text}", NOW)
    assert (speech.text, speech.clip.frames) == ("1 minute ago: Hello.", 0)
    assert ahead.ended
    assert synthesis.given_up == [speech]
    assert synthesis.filled == [speech, speech]


async def test_what_could_not_be_made_ahead_is_tried_again_when_its_turn_comes(synthesis):
    speech = synthesis.new_job(announcement())
    speech.request(need=SOON)
    speech.clip.finish(ClipError("no transport spoke"))
    speech.request(need=SOON)
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


async def test_what_was_thrown_away_leaves_no_mark_on_what_is_made_anew(tmp_path):
    slow = Slow()
    means = SynthesisContext({"local": slow}, CoreOptions(), SpeechOptions(), {}, lambda _part, _what: None)
    cache = Cache(tmp_path, CacheOptions(enabled=False), RECIPE)
    async with Synthesizer(means, [Route(use=["local"])], cache=cache, spool=lambda: tmp_path) as synthesis:
        speech = synthesis.new_job(announcement(text="Hello."))
        speech.request(need=SOON)
        while not slow.asked:
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # until nothing moves but what the test moves
        slow.go.set()
        speech.request(lambda text: f"1 minute ago: {text}", NOW)
        for _ in range(5):
            await asyncio.sleep(0)
        assert (speech.transport, speech.first_audio_at, speech.is_faithful) == (None, None, True)
