"""Lightning's wire, without a socket: requests, frames, events and WAV files, written and read."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.reply import (
    FINAL_EVENT,
    Chunk,
    Complete,
    EventReader,
    Problem,
    Word,
    read_event,
    read_frame,
    write_event,
    write_frame,
)

samples = st.binary(max_size=400).map(lambda data: data[: len(data) & ~1])
IDS = {"session_id": "ws_1", "request_id": "task_1"}


def cut(data, cuts):
    """The data in pieces, cut at the given places; empty ones among them."""
    places = sorted(place % (len(data) + 1) for place in cuts)
    return [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]


cuts = st.lists(st.integers(0, 10**6), max_size=40)


@given(st.lists(st.binary(max_size=99)), st.booleans(), cuts)
def test_event_reader_any_split(chunks, crlf, places):
    stream = b": hello\n\n" + b"".join(map(write_event, chunks)) + FINAL_EVENT
    if crlf:
        stream = stream.replace(b"\n", b"\r\n")
    reader = EventReader()
    events = [read_event(data) for piece in cut(stream, places) for data in reader.feed(piece)]
    assert events == [*map(Chunk, chunks), Complete()]


@given(st.binary(max_size=99))
def test_frame_round_trip(pcm):
    assert read_frame(write_frame(Chunk(pcm), IDS)) == Chunk(pcm, "task_1")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (Complete(), Complete("task_1")),
        (Word(3, "hello", 0.5, 0.9), Word(3, "hello", 0.5, 0.9, "task_1")),
        (Problem("no", "429"), Problem("no", "429")),
        (Problem("no"), Problem("no")),
    ],
)
def test_frame_round_trip_each_status(written, read):
    assert read_frame(write_frame(written, IDS)) == read


def test_frame_has_the_keys_of_its_ids():
    frame = json.loads(write_frame(Complete(), IDS | {"external_request_id": "r"}))
    assert frame == {**IDS, "external_request_id": "r", "status": "complete"}


@pytest.mark.parametrize("text", ["", "x", "[]", "1", '"s"', "null", '{"status":', b"\xff\xfe", "[" * 10000])
def test_frame_not_object_is_error(text):
    with pytest.raises(TransportError, match="frame"):
        read_frame(text)


@pytest.mark.parametrize("audio", ["!", "AAA", "A A=", "AA=A", "AAAA\n", "ÄÄÄÄ", None, 3, ["AAAA"]])
def test_audio_not_base64_is_error(audio):
    with pytest.raises(TransportError):
        read_frame(json.dumps({"status": "chunk", "data": {"audio": audio}}))
    with pytest.raises(TransportError):
        read_event(json.dumps({"audio": audio, "done": False}).encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["status", "data", "audio", "done", "error", "message", "id", "request_id"])
                | st.text(),
                x,
            )
        ),
    )
)
def test_any_json_is_read_or_transport_error(value):
    for read in (lambda: read_frame(json.dumps(value)), lambda: read_event(json.dumps(value).encode())):
        try:
            read()
        except TransportError:
            continue


@pytest.mark.parametrize("status", ["chunk", "word_timestamp", "complete", "error", "new", 5, None])
def test_frame_with_wrong_types_is_read(status):
    for extra in ({"request_id": ["a"]}, {"request_id": {}}, {"data": 5}, {"data": {"id": "x"}}):
        try:
            reply = read_frame(json.dumps({"status": status} | extra))
        except TransportError:
            continue
        if isinstance(reply, Chunk | Complete | Word):
            assert reply.request_id is None or isinstance(reply.request_id, str)


def test_unknown_status_is_ignored():
    assert read_frame('{"status":"news"}') is None
    assert read_event(b'{"hello":1}') is None


@pytest.mark.parametrize("terminator", [b'{"status":"200","done":true}', b'{"done":true}'])
def test_event_done_value_ends_stream(terminator):
    assert read_event(terminator) == Complete()
    assert read_event(b'{"audio":"AAAA","done":false,"status":"206"}') == Chunk(b"\0\0\0")


@pytest.mark.parametrize(
    "frame",
    [
        {"status": "error", "message": "no", "error": {"message": "no", "code": "429"}},
        {"status": "error", "error": {"message": "no", "code": 429}},
        {"status": "error", "message": "no", "error_code": "429"},
    ],
)
def test_problem_read_in_each_spelling(frame):
    assert read_frame(json.dumps(frame)) == Problem("no", "429")


def test_endless_event_is_error():
    reader = EventReader(max_bytes=1000)
    with pytest.raises(TransportError, match="1000 bytes"):
        [list(reader.feed(b"data: " + b"x" * 100)) for _ in range(20)]


def test_frame_audio_is_standard_base64():
    event = write_event(b"\x01\x02\x03\x04")
    assert event.startswith(b"event: audio\ndata: {")
    assert event.endswith(b"}\n\n")
    assert base64.b64decode(json.loads(event.split(b"data: ")[1])["audio"]) == b"\x01\x02\x03\x04"
