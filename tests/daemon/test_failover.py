"""Speech that breaks off is carried on: each word is heard, none out of order, and no click between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from edgevoice.synthesis.synthesizer import Timeouts
from tests.support.bursts import WINDOW, check, heard_in, text_of
from tests.support.house import House
from tests.support.lightning import Fault
from tests.support.speech import frames_of, tone_of

RATE = 24000
#: Seconds; not a whole number of waves, so that a cut is in the middle of one.
CHUNK = 0.0737
NUMBERS = range(6)
#: Each transport, and the one that continues.
STREAMS = {"http_stream": "websocket", "websocket": "http_stream"}
#: The most by which two samples of the tones differ.
STEEPEST = 1.05 * 8000 * 2 * np.pi * tone_of(NUMBERS[-1]) / RATE
#: Bursts that are heard twice at most: the one that broke off, and what a slower voice had not spoken yet.
REPEATED = 3
DEATHS = {
    "cut": {"cut": True},
    "reset": {"reset": True},
    "closed": {"close": 1000},
    "silent": {"silent": True},
    "error": {"problem": "overloaded"},
}


SOON_STALLED = Timeouts(stall_s=0.3)


def house_of(broker, lightning, *, use=tuple(STREAMS)):
    lightning.chunk = CHUNK
    routes = [{"use": list(use)}]
    return House(broker, lightning={"base_url": lightning.url}, routes=routes, timeouts=SOON_STALLED)


def chunk_at(text, part):
    """The number of the chunk with which this part of a text has been spoken."""
    return round(part * frames_of(text, RATE) / RATE / CHUNK)


async def said(house, text, **keys):
    """The outcome of a text, and what was heard of it."""
    before = len(house.heard()) if house.steps("first") else 0
    outcome = await house.said(text, **keys)
    return outcome, house.heard()[before:]


def check_continued(heard, numbers):
    """No burst is missing, and after the cut a few are repeated before it goes on in order."""
    mine = [burst for burst in heard if burst.number in numbers]
    order = [burst.number for burst in mine]
    steps = [after - before for before, after in pairwise(order)]
    assert {burst.number for burst in mine if burst.is_whole} == set(numbers), heard
    assert max(steps) <= 1, heard
    assert sum(step < 0 for step in steps) <= 1, heard
    assert len(mine) - len(numbers) <= REPEATED, heard


def check_no_click(heard):
    samples = np.frombuffer(heard, "<i2").astype(int)
    assert np.abs(np.diff(samples)).max() <= STEEPEST


@pytest.mark.parametrize("known", [True, False], ids=["a voice that was heard before", "a new voice"])
@pytest.mark.parametrize("transport", STREAMS)
async def test_failover_at_any_position_loses_no_word(known, transport, broker, lightning):
    text, other = text_of(NUMBERS), STREAMS[transport]
    async with house_of(broker, lightning, use=(transport, other)) as house:
        await said(house, "k30z." if known else "d100z", id="first", voice="olivia")
        for twentieth in range(1, 20):
            # A voice is known by what it has read to its end.
            voice = "olivia" if known else f"voice-{twentieth}"
            lightning.plan(Fault(at=chunk_at(text, twentieth / 20), cut=True), on=transport)
            outcome, heard = await said(house, text, id=f"t{twentieth}", voice=voice)
            assert (outcome["event_type"], outcome["transport"]) == ("finished", other)
            assert [attempt["transport"] for attempt in outcome["attempts"]] == [transport]
            assert "s of speech" in outcome["attempts"][0]["error"]
            assert outcome["spoken_s"] == pytest.approx(len(heard) / 2 / RATE, abs=0.001)
            check_continued(heard_in(heard), NUMBERS)
            check_no_click(heard)


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("transport", STREAMS)
async def test_failover_after_each_kind_of_failure(death, transport, broker, lightning):
    text, other = text_of(NUMBERS), STREAMS[transport]
    async with house_of(broker, lightning, use=(transport, other)) as house:
        lightning.plan(Fault(at=chunk_at(text, 0.47), **DEATHS[death]), on=transport)
        outcome = await house.said(text)
        assert (outcome["event_type"], outcome["transport"]) == ("finished", other)
        assert [attempt["transport"] for attempt in outcome["attempts"]] == [transport]
        check_continued(heard_in(house.heard()), NUMBERS)
        check_no_click(house.heard())
        # What was still on its way, and the next announcement, are whole.
        again = await house.said(text, id="again")
        assert (again["transport"], again["attempts"]) == (transport, [])


@pytest.mark.parametrize("transport", STREAMS)
async def test_failover_repeats_at_most_one_sentence(transport, broker, lightning):
    text = "k0z k1z k2z. k3z k4z k5z."
    async with house_of(broker, lightning, use=(transport, STREAMS[transport])) as house:
        await said(house, "k6z k7z k8z. k6z k7z k8z.", id="first")
        for part in (0.2, 0.45, 0.55, 0.7, 0.95):
            lightning.plan(Fault(at=chunk_at(text, part), cut=True), on=transport)
            outcome, heard = await said(house, text, id=f"p{part}")
            assert outcome["event_type"] == "finished"
            bursts = [burst for burst in heard_in(heard) if burst.is_whole]
            assert {burst.number for burst in bursts} == set(NUMBERS)
            assert len(bursts) <= len(NUMBERS) + 3


async def test_failover_resumes_at_the_word_with_word_marks(broker, lightning):
    text, lightning.times_words = "k0z k1z, k2z k3z k4z k5z.", True
    async with house_of(broker, lightning, use=("websocket", "http_stream")) as house:
        for number in NUMBERS:
            lightning.plan(Fault(at=chunk_at(text, (number + 0.4) / 6), cut=True), on="websocket")
            outcome, heard = await said(house, text, id="first" if not number else f"w{number}")
            assert outcome["event_type"] == "finished"
            check(heard_in(heard), NUMBERS, cuts=1)
            left = " ".join(text.split()[number:])
            assert lightning.requests[-1].text == left


@pytest.mark.parametrize("transport", STREAMS)
async def test_forced_transport_resumes_its_own_speech(transport, broker, lightning):
    text = text_of(NUMBERS)
    async with house_of(broker, lightning) as house:
        lightning.plan(Fault(at=chunk_at(text, 0.6), cut=True), on=transport)
        outcome = await house.said(text, transport=transport)
        assert (outcome["event_type"], outcome["transport"]) == ("finished", transport)
        assert [asked.transport for asked in lightning.requests] == [transport] * 2
        check_continued(heard_in(house.heard()), NUMBERS)


async def test_remaining_segments_stay_with_the_new_transport(broker, lightning):
    numbers = range(8)
    text = text_of(numbers)
    account = {"base_url": lightning.url, "max_request_chars": 20}
    lightning.chunk = CHUNK
    async with House(broker, lightning=account, routes=[{"use": ["http_stream", "websocket"]}]) as house:
        lightning.plan(Fault(at=chunk_at(text, 0.2), cut=True), on="http_stream")
        outcome = await house.said(text)
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "websocket")
        assert {asked.transport for asked in lightning.requests[1:]} == {"websocket"}
        check_continued(heard_in(house.heard()), numbers)


async def test_local_voice_resumes_without_network(broker, lightning):
    text = text_of(range(3))
    async with house_of(broker, lightning, use=("http_stream", "http", "local")) as house:
        lightning.plan(Fault(at=chunk_at(text, 0.5), cut=True), on="http_stream")
        lightning.plan(Fault(status=500), on="http")
        outcome = await house.said(text)
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "local")
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["http_stream", "http"]
        spoken = len(lightning.expected("k0z.")) + len(lightning.expected("k1z.")) // 4
        assert heard_in(house.heard())[0].is_whole
        assert house.heard()[:spoken] == lightning.expected(text)[:spoken]
        assert len(house.heard()) > spoken + RATE


async def test_failover_of_live_text(broker, lightning):
    text = text_of(NUMBERS)
    async with house_of(broker, lightning, use=("websocket", "http_stream")) as house:
        lightning.plan(Fault(at=chunk_at("k0z.", 0.6), cut=True), on="websocket")
        for piece in (text, ""):
            await house.client.publish("edgevoice/kitchen/stream/live", piece)
        outcome = await house.outcome("live")
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "http_stream")
        check_continued(heard_in(house.heard()), NUMBERS)


def test_burst_windows_hold_whole_waves():
    assert all((tone_of(number) * WINDOW).is_integer() for number in NUMBERS)
