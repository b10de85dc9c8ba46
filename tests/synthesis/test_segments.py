"""An announcement in parts: nothing of it lost, nothing too long, nothing that no voice can say."""

import pytest

from edgevoice import Urgency
from edgevoice.plugin import SpeechOptions
from edgevoice.synthesis.segments import segments_of
from edgevoice.text.live import LiveText
from tests.support.announcements import announcement

LIGHTNING = SpeechOptions(max_request_chars=40, sample_rate=8000)


@pytest.fixture(autouse=True)
def _short_silence(monkeypatch):
    monkeypatch.setattr("edgevoice.synthesis.segments.LIVE_IDLE_S", 0.02)


async def texts_of(said, *, accepts_text_stream=False):
    texts = []
    async for part in segments_of(said, said.text, LIGHTNING, lambda: accepts_text_stream):
        request = part.request()
        texts.append(
            request.text if request.text_stream is None else [piece async for piece in request.text_stream]
        )
    return texts


async def test_a_text_that_fits_is_one_request_with_all_the_announcement_asks_for():
    said = announcement(Urgency.HIGH, text=" Hello. ", voice="v", language="de", speed=1.5)
    (part,) = [part async for part in segments_of(said, said.text, LIGHTNING, lambda: True)]
    request = part.request()
    assert (request.text, request.sample_rate, request.text_stream) == ("Hello.", 8000, None)
    assert (request.voice, request.language, request.speed, request.urgency) == ("v", "de", 1.5, Urgency.HIGH)
    assert request.id == said.id


async def test_a_long_text_is_cut_at_sentence_ends_and_parts_without_a_word_are_left_out():
    text = "One is here now. Two is here now, too. " + "-" * 40 + "\nThree."
    assert await texts_of(announcement(text=text)) == ["One is here now. Two is here now, too.", "Three."]


async def test_a_text_without_any_word_is_asked_for_all_the_same():
    assert await texts_of(announcement(text="?!")) == ["?!"]


def live_of(*pieces, ends=True):
    live = LiveText()
    for piece in pieces:
        live.add(piece)
    if ends:
        live.end()
    return live


async def test_live_text_comes_a_sentence_at_a_time_where_pieces_are_not_understood():
    live = live_of("One is", " here. Two ", "is here. ", "... ", "And then " * 6)
    assert await texts_of(announcement(live=live)) == [
        "One is here.",
        "Two is here.",
        "And then And then And then And then",
        "And then And then",
    ]


async def test_live_text_comes_in_pieces_and_silence_ends_a_part():
    live, seen = live_of("One ", "two.", ends=False), []
    async for part in segments_of(announcement(live=live), None, LIGHTNING, lambda: True):
        seen.append("".join([piece async for piece in part.request().text_stream]))
        if not live.ended:
            live.add(" Three.")
            live.end()
    assert seen == ["One two.", " Three."]


async def test_a_part_of_which_nothing_was_spoken_comes_again():
    live, seen = live_of("One. Two."), []
    accepts_text_stream = [True]
    async for part in segments_of(announcement(live=live), None, LIGHTNING, lambda: accepts_text_stream[0]):
        request = part.request()
        if part.live is not None:
            assert [piece async for piece in request.text_stream] == ["One. Two."]
            assert [piece async for piece in part.request().text_stream] == ["One. Two."]
            part.end = part.start
            accepts_text_stream[0] = False
        else:
            seen.append(request.text)
    assert seen == ["One.", "Two."]


@pytest.mark.parametrize("pieces", [(), (" ", "\n"), ("...",)])
async def test_live_text_that_says_nothing_has_no_parts(pieces):
    assert await texts_of(announcement(live=live_of(*pieces))) == []
