"""Lightning's wire, without a socket: requests, frames, events and WAV files, written and read."""

import base64
import json
import struct

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgevoice.announcement import Urgency
from edgevoice.config.options import Lightning
from edgevoice.errors import AccountRefused, TransportError
from edgevoice.plugin import SpeechRequest
from edgevoice_plugins.lightning.protocol.refusal import problem_error, refusal
from edgevoice_plugins.lightning.protocol.reply import (
    FINAL_EVENT,
    Chunk,
    Complete,
    EventReader,
    Ids,
    Problem,
    WholeSamples,
    Word,
    preview,
    read_event,
    read_frame,
    write_event,
    write_frame,
)
from edgevoice_plugins.lightning.protocol.request import (
    BadRequest,
    RetiredModel,
    WireRequest,
    known_model,
    piece_message,
    read_request,
    speech_body,
)
from edgevoice_plugins.lightning.protocol.wav import read_wav, write_wav
from edgevoice_plugins.lightning.whole import is_text, speech_of

samples = st.binary(max_size=400).map(lambda data: data[: len(data) & ~1])
IDS = Ids(session_id="ws_1", request_id="task_1")


def cut(data, cuts):
    """The data in pieces, cut at the given places; empty ones among them."""
    places = sorted(place % (len(data) + 1) for place in cuts)
    return [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]


cuts = st.lists(st.integers(0, 10**6), max_size=40)


@given(st.lists(st.binary(max_size=99)), st.booleans(), cuts)
def test_an_event_stream_reads_the_same_wherever_it_is_split(chunks, crlf, places):
    stream = b": hello\n\n" + b"".join(map(write_event, chunks)) + FINAL_EVENT
    if crlf:
        stream = stream.replace(b"\n", b"\r\n")
    reader = EventReader()
    events = [read_event(data) for piece in cut(stream, places) for data in reader.feed(piece)]
    assert events == [*map(Chunk, chunks), Complete()]


@given(st.binary(max_size=999), cuts)
def test_bytes_split_anywhere_give_the_same_whole_samples(data, places):
    whole = WholeSamples()
    fed = [whole.feed(piece) for piece in cut(data, places)]
    assert all(len(piece) % 2 == 0 for piece in fed)
    assert b"".join(fed) + whole.odd == data
    assert len(whole.odd) == len(data) % 2


@given(st.binary(max_size=99))
def test_a_frame_reads_as_it_was_written(pcm):
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
def test_each_status_reads_as_it_was_written(written, read):
    assert read_frame(write_frame(written, IDS)) == read


def test_the_ids_that_a_client_gave_come_back_only_if_it_gave_them():
    plain = json.loads(write_frame(Complete(), IDS))
    assert set(plain) == {"session_id", "request_id", "status"}
    given_ids = Ids(session_id="w", request_id="t", external_session_id="s", external_request_id="r")
    echoed = json.loads(write_frame(Complete(), given_ids))
    assert (echoed["external_session_id"], echoed["external_request_id"]) == ("s", "r")


@pytest.mark.parametrize("text", ["", "x", "[]", "1", '"s"', "null", '{"status":', b"\xff\xfe", "[" * 10000])
def test_a_frame_that_is_no_object_is_an_error(text):
    with pytest.raises(TransportError, match="frame"):
        read_frame(text)


@pytest.mark.parametrize("audio", ["!", "AAA", "A A=", "AA=A", "AAAA\n", "ÄÄÄÄ", None, 3, ["AAAA"]])
def test_audio_that_is_no_base64_is_an_error(audio):
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
def test_no_json_does_more_to_a_reader_than_an_error(value):
    for read in (lambda: read_frame(json.dumps(value)), lambda: read_event(json.dumps(value).encode())):
        try:
            read()
        except TransportError:
            continue


@pytest.mark.parametrize("status", ["chunk", "word_timestamp", "complete", "error", "new", 5, None])
def test_frames_with_ids_or_data_of_other_types_do_not_break_the_reader(status):
    for extra in ({"request_id": ["a"]}, {"request_id": {}}, {"data": 5}, {"data": {"id": "x"}}):
        try:
            reply = read_frame(json.dumps({"status": status} | extra))
        except TransportError:
            continue
        if isinstance(reply, Chunk | Complete | Word):
            assert reply.request_id is None or isinstance(reply.request_id, str)


def test_an_unknown_status_is_passed_over():
    assert read_frame('{"status":"news"}') is None
    assert read_event(b'{"hello":1}') is None


@pytest.mark.parametrize("terminator", [b'{"status":"200","done":true}', b'{"done":true}'])
def test_the_end_of_a_stream_is_known_by_the_value_of_done(terminator):
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
def test_an_error_is_read_in_each_of_its_spellings(frame):
    assert read_frame(json.dumps(frame)) == Problem("no", "429")


def test_an_event_that_never_ends_is_an_error():
    reader = EventReader(longest=1000)
    with pytest.raises(TransportError, match="1000 bytes"):
        [list(reader.feed(b"data: " + b"x" * 100)) for _ in range(20)]


# ---- WAV ---------------------------------------------------------------------------------------------

sizes = st.sampled_from([0, 1, 36, 44, 0x7FFFFFFF, 0xFFFFFFFF]) | st.integers(0, 2**32 - 1)


@given(st.binary(min_size=2, max_size=300).map(lambda data: data[: len(data) & ~1]), sizes)
def test_the_riff_size_has_no_say(pcm, riff):
    body = bytearray(write_wav(pcm, 24000))
    struct.pack_into("<I", body, 4, riff)
    assert read_wav(bytes(body), 24000) == pcm


@given(
    st.binary(min_size=2, max_size=300).map(lambda data: data[: len(data) & ~1]), st.integers(0, 2**32 - 1)
)
def test_a_data_size_that_is_not_true_costs_no_sample(pcm, size):
    pcm = bytes(value | 0x80 for value in pcm)  # no bytes that could be a chunk's name
    assume(size != len(pcm) - 1)  # an odd size with its padding byte is believed, and then refused
    body = bytearray(write_wav(pcm, 24000))
    struct.pack_into("<I", body, 40, size)
    assert read_wav(bytes(body), 24000) == pcm


@given(samples, st.lists(st.tuples(st.sampled_from([b"LIST", b"fact", b"bext"]), st.binary(max_size=33))))
def test_other_chunks_are_passed_over(pcm, chunks):
    extra = b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) & 1) for name, data in chunks
    )
    body = write_wav(pcm, 24000)
    assert read_wav(body[:36] + extra + body[36:], 24000) == pcm


@given(st.binary(max_size=300))
def test_no_wav_header_does_more_than_an_error(junk):
    for body in (b"RIFF\0\0\0\0WAVE" + junk, b"RIFF\0\0\0\0WAVEfmt " + junk, junk):
        for asked in ("wav", "pcm"):
            try:
                assert len(speech_of(body, asked=asked, rate=24000)) % 2 == 0
            except TransportError:
                continue


@given(st.binary(min_size=64, max_size=600))
def test_noise_is_not_taken_for_text(noise):
    noise = bytes(value | 0x81 for value in noise)
    assert not is_text(b"{" + noise)
    assert not is_text(b"<h" + noise)


@pytest.mark.parametrize(
    "text", ['{"error":"x"}', "<html>\r\n", " \n<!doctype html>", "[1]", '{"e":"' + "ü" * 300]
)
def test_text_is_known_as_text(text):
    assert is_text(text.encode())


# ---- requests ----------------------------------------------------------------------------------------


def spoken(**keys):
    return SpeechRequest(id="a", text="Hello.", sample_rate=24000, urgency=Urgency.NORMAL, **keys)


def test_a_request_is_read_as_it_was_built():
    lightning = Lightning(pronunciation_dicts=("d1",), model="lightning_v3.1_pro", voice="meher", speed=1.2)
    body = json.loads(json.dumps(speech_body(lightning, spoken(language="hi"), output_format="wav")))
    request = read_request(body)
    assert request == WireRequest(
        text="Hello.",
        voice_id="meher",
        model="lightning_v3.1_pro",
        sample_rate=24000,
        speed=1.2,
        language="hi",
        output_format="wav",
        pronunciation_dicts=["d1"],
    )


def test_a_piece_carries_all_of_the_request():
    body = speech_body(Lightning(), spoken())
    request = read_request(piece_message(body, "Hel", context_id="c1", more=True))
    assert (request.text, request.context_id, request.more) == ("Hel", "c1", True)
    assert request.voice_id == "magnus"


def test_what_is_absent_has_the_defaults_of_the_vendor():
    request = read_request({"text": "x", "voice_id": "v", "unknown": 1, "language": None})
    assert (request.sample_rate, request.output_format, request.model) == (44100, "pcm", "lightning_v3.1")


BAD = {
    "sample_rate": (22050, "8000, 16000, 24000, 44100"),
    "output_format": ("ogg", "pcm, wav, mp3, ulaw, alaw"),
    "speed": (3, "speed"),
    "text": (5, "text"),
    "model": ("parrot", "lightning_v3.1, lightning_v3.1_pro"),
    "request_id": ("a b", "request_id"),
    "max_buffer_delay_ms": (9000, "max_buffer_delay_ms"),
}


@pytest.mark.parametrize("key", BAD)
def test_a_bad_field_is_named_with_what_is_allowed(key):
    value, named = BAD[key]
    with pytest.raises(BadRequest, match=named):
        read_request({"text": "x", "voice_id": "v", key: value})


@pytest.mark.parametrize("message", [[], "x", 1, None])
def test_a_request_has_to_be_an_object(message):
    with pytest.raises(BadRequest, match="JSON object"):
        read_request(message)


def test_a_text_that_is_too_long_is_refused_with_both_numbers():
    with pytest.raises(BadRequest, match="5 characters; at most 4"):
        read_request({"text": "abcde"}, max_chars=4)


@pytest.mark.parametrize(
    "name", ["lightning_v3.1", "lightning-v3.1", "lightning-v3.1-pro", "lightning_v3.1_pro"]
)
def test_a_model_is_known_in_both_spellings(name):
    assert known_model(name) == name.replace("-", "_")


@pytest.mark.parametrize("name", ["lightning", "lightning-large", "lightning_v2", "lightning-v2"])
def test_a_retired_model_names_its_successor(name):
    with pytest.raises(RetiredModel, match=r"lightning_v3\.1") as caught:
        known_model(name)
    assert caught.value.successor == "lightning_v3.1"


# ---- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 402, 403, 410])
def test_these_statuses_concern_the_account(status):
    assert isinstance(refusal(status, b""), AccountRefused)


@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 429, 500, 502, 503, 504])
def test_other_statuses_leave_the_next_transport_a_chance(status):
    error = refusal(status, b'{"error":"X","message":"why"}')
    assert type(error) is TransportError
    assert str(error) == f"refused: {status} (why)"


@pytest.mark.parametrize("code", ["401", "410", "MODEL_DEPRECATED", "Unauthorized"])
def test_a_problem_in_a_stream_may_concern_the_account(code):
    assert isinstance(problem_error(Problem("no", code)), AccountRefused)


@pytest.mark.parametrize("code", ["429", "500", None, "²", "whatever", "9" * 5000])
def test_another_problem_in_a_stream_does_not(code):
    error = problem_error(Problem("no", code))
    assert type(error) is TransportError
    assert "no" in str(error)
    assert len(str(error)) < 200


@given(st.binary(max_size=300) | st.text().map(lambda text: msgspec.json.encode({"message": text})))
def test_no_body_makes_a_refusal_unprintable(body):
    text = str(refusal(500, body))
    assert text.startswith("refused: 500")
    assert len(text) < 200


@given(st.binary(max_size=300))
def test_a_preview_is_short_and_printable(body):
    assert len(preview(body)) <= 80
    assert preview(body).isprintable()


def test_base64_is_that_of_the_wire():
    event = write_event(b"\x01\x02\x03\x04")
    assert event.startswith(b"event: audio\ndata: {")
    assert event.endswith(b"}\n\n")
    assert base64.b64decode(json.loads(event.split(b"data: ")[1])["audio"]) == b"\x01\x02\x03\x04"
