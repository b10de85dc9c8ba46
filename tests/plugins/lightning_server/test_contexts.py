"""The contexts of a socket's messages, without a socket."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice_plugins.lightning.protocol.request import BadRequestError
from edgevoice_plugins.lightning_server.contexts import (
    MAX_CONTEXTS,
    Cancelled,
    Segment,
    TextContexts,
    join_chunks,
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def contexts(clock):
    return TextContexts(8000, clock)


def piece(text, **keys):
    return {"text": text, "voice_id": "magnus", "context_id": "c", "continue": True} | keys


def texts(released):
    return [segment.text for segment in released]


def spoken(contexts, *messages):
    return [text for message in messages for text in texts(contexts.handle(message))]


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("Hello there.", "How are you?", "Hello there. How are you?"),
        ("Really?", "“Yes”", "Really? “Yes”"),
        ("He said “no.”", "Then", "He said “no.” Then"),
        ("Costs 3.", "Then", "Costs 3. Then"),
        ("ठीक है!", "चलो", "ठीक है! चलो"),
        ("Hello there. ", "How", "Hello there. How"),
        ("Hello there.", " How", "Hello there. How"),
        ("tomor", "row", "tomorrow"),
        ("costs 3.", "5 euros", "costs 3.5 euros"),
        ("see example.", "org", "see example.org"),
        ("wait", ".", "wait."),
        ("wait.", "..", "wait..."),
        ("", "How", "How"),
        ("Hi.", "", "Hi."),
    ],
)
def test_chunks_joined_with_missing_space(before, after, whole):
    assert join_chunks(before, after) == whole


def test_complete_sentence_released_rest_waits(contexts):
    assert spoken(contexts, piece("Hello the"), piece("re")) == []
    assert spoken(contexts, piece(". How are")) == ["Hello there. "]
    assert spoken(contexts, piece(" you?")) == ["How are you?"]
    assert contexts.due_at is None


@pytest.mark.parametrize("text", ["It is 3.", "Mr.", "1. ", "No", "e.g.", "Dr. Smith and J.", "  .", "12. "])
def test_false_sentence_end_waits(contexts, text):
    assert spoken(contexts, piece(text)) == []


@pytest.mark.parametrize("text", ["Yes.", "Stop!", "Why?", "Well…", "Done.\n", "今日は。", "It costs 3.50. "])
def test_sentence_end_at_chunk_end(contexts, text):
    assert spoken(contexts, piece(text)) == [text]


def test_several_sentences_one_segment(contexts):
    assert spoken(contexts, piece("One is here. Two is there. And thr")) == ["One is here. Two is there. "]


def test_long_text_split_at_250_characters(contexts):
    text = "word " * 120
    released = spoken(contexts, piece(text), piece("", **{"continue": False}))
    assert "".join(released) == text
    assert all(len(part) <= 250 for part in released)


def test_delay_counts_from_first_chunk(contexts, clock):
    contexts.handle(piece("no end ", max_buffer_delay_ms=500))
    clock.now += 0.4
    contexts.handle(piece("in sight", max_buffer_delay_ms=500))
    assert contexts.due_at == pytest.approx(100.5)
    assert contexts.overdue() == []
    clock.now += 0.2
    assert texts(contexts.overdue()) == ["no end in sight"]
    assert contexts.due_at is None


def test_zero_delay_releases_at_once(contexts):
    assert spoken(contexts, piece("no end", max_buffer_delay_ms=0)) == ["no end"]


def test_contexts_are_separate(contexts):
    assert (
        spoken(contexts, piece("one "), piece("two ", context_id="d"), piece("more ", context_id=None)) == []
    )
    assert spoken(contexts, piece("end", **{"continue": False})) == ["one end"]
    assert spoken(contexts, piece("end", context_id="d", context_close=True)) == ["two end"]
    assert spoken(contexts, piece("", context_id=None, flush=True)) == ["more "]


def test_segment_uses_options_of_its_chunks(contexts):
    contexts.handle(piece("Left", voice_id="sophia", sample_rate=8000, request_id="r1"))
    (segment,) = contexts.handle({"context_id": "c", "continue": False})
    assert (segment.request.voice_id, segment.request.sample_rate, segment.request.request_id) == (
        *("sophia", 8000),
        "r1",
    )


def test_cancel_drops_waiting_text(contexts):
    contexts.handle(piece("old words "))
    first, second = contexts.handle(piece("New.", cancel_request=True, **{"continue": False}))
    assert first == Cancelled("c")
    assert second.text == "New."


def test_whole_text_is_one_segment(contexts):
    text = "It is a sentence. " * 400
    assert texts(contexts.handle({"text": text, "voice_id": "magnus"})) == [text]


def test_too_many_contexts_are_refused(contexts):
    for number in range(MAX_CONTEXTS + 10):
        contexts.handle(piece("done", context_id=f"d{number}", **{"continue": False}))
    for number in range(MAX_CONTEXTS):
        contexts.handle(piece("waits ", context_id=f"c{number}"))
    with pytest.raises(BadRequestError, match="contexts"):
        contexts.handle(piece("waits ", context_id="one-more"))
    assert spoken(contexts, piece("now", context_id="c0", **{"continue": False})) == ["waits now"]


def test_refused_message_keeps_waiting_text(contexts):
    contexts.handle(piece("first "))
    for bad in (
        piece("x", speed=9),
        piece("x", flush=True),
        piece("x", model="lightning_v2"),
        {"context_id": 5},
    ):
        with pytest.raises(BadRequestError):
            contexts.handle(bad)
    assert spoken(contexts, piece("last", **{"continue": False})) == ["first last"]


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=30), st.sampled_from([None, "c"])
)
def test_every_chunk_spoken_once(pieces, context_id):
    contexts = TextContexts(8000, Clock())
    released = []
    for text in pieces:
        released += contexts.handle(piece(text, context_id=context_id))
    released += contexts.handle({"context_id": context_id, "flush": context_id is None, "continue": False})
    assert all(isinstance(segment, Segment) and segment.text.strip() for segment in released)
    assert "".join("".join(texts(released)).split()) == "".join("".join(pieces).split())
    assert context_id is None or all(len(segment.text) <= 250 + 60 for segment in released)
    assert contexts.due_at is None
