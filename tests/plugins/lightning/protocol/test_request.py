"""Lightning requests and refusals, without a socket."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.announcement import Urgency
from edgevoice.errors import AccountRefused, TooManyRequests, TransportError
from edgevoice.plugin import SpeechRequest
from edgevoice_plugins.lightning.options import LightningOptions as Lightning
from edgevoice_plugins.lightning.protocol.errors import problem_error, status_error
from edgevoice_plugins.lightning.protocol.reply import Problem, preview
from edgevoice_plugins.lightning.protocol.request import (
    BadRequestError,
    RetiredModelError,
    WireRequest,
    chunk_message,
    known_model,
    read_request,
    speech_body,
)


def spoken(**keys):
    return SpeechRequest(id="a", text="Hello.", sample_rate=24000, urgency=Urgency.NORMAL, **keys)


def test_request_round_trip():
    lightning = Lightning(pronunciation_dicts=("d1",), model="lightning_v3.1_pro", voice="meher", speed=1.2)
    body = json.loads(
        json.dumps(speech_body(lightning, spoken(language="hi", speed=1.2), output_format="wav"))
    )
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


def test_chunk_message_repeats_request():
    body = speech_body(Lightning(), spoken())
    request = read_request(chunk_message(body, "Hel", context_id="c1", more=True))
    assert (request.text, request.context_id, request.more) == ("Hel", "c1", True)
    assert request.voice_id == "magnus"


def test_request_defaults_of_vendor():
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
def test_bad_field_names_allowed_values(key):
    value, named = BAD[key]
    with pytest.raises(BadRequestError, match=named):
        read_request({"text": "x", "voice_id": "v", key: value})


@pytest.mark.parametrize("message", [[], "x", 1, None])
def test_request_must_be_object(message):
    with pytest.raises(BadRequestError, match="JSON object"):
        read_request(message)


def test_too_long_text_names_both_numbers():
    with pytest.raises(BadRequestError, match="5 characters; at most 4"):
        read_request({"text": "abcde"}, max_chars=4)


@pytest.mark.parametrize(
    "name", ["lightning_v3.1", "lightning-v3.1", "lightning-v3.1-pro", "lightning_v3.1_pro"]
)
def test_model_known_in_both_spellings(name):
    assert known_model(name) == name.replace("-", "_")


@pytest.mark.parametrize("name", ["lightning", "lightning-large", "lightning_v2", "lightning-v2"])
def test_retired_model_names_successor(name):
    with pytest.raises(RetiredModelError, match=r"lightning_v3\.1") as caught:
        known_model(name)
    assert caught.value.successor == "lightning_v3.1"


@pytest.mark.parametrize("status", [401, 402, 403, 410])
def test_status_concerns_account(status):
    assert isinstance(status_error(status, b""), AccountRefused)


@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 500, 502, 503, 504])
def test_other_status_is_transport_error(status):
    error = status_error(status, b'{"error":"X","message":"why"}')
    assert type(error) is TransportError
    assert str(error) == f"refused: {status} (why)"


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(None, None), ("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)],
)
def test_status_429_carries_retry_after(retry_after, seconds):
    error = status_error(429, b'{"error":"X","message":"why"}', retry_after)
    assert isinstance(error, TooManyRequests)
    assert (str(error), error.retry_after) == ("refused: 429 (why)", seconds)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no", "429"),
        ("no", "TooManyRequests"),
        ("no", "too_many_requests"),
        ("Concurrency limit reached", None),
        ("Too many requests", None),
    ],
)
def test_problem_too_many_requests(message, code):
    assert isinstance(problem_error(Problem(message, code)), TooManyRequests)


@pytest.mark.parametrize("code", ["401", "410", "MODEL_DEPRECATED", "Unauthorized"])
def test_problem_concerns_account(code):
    assert isinstance(problem_error(Problem("no", code)), AccountRefused)


@pytest.mark.parametrize("code", ["500", None, "²", "whatever", "9" * 5000])
def test_other_problem_is_transport_error(code):
    error = problem_error(Problem("no", code))
    assert type(error) is TransportError
    assert "no" in str(error)
    assert len(str(error)) < 200


@given(st.binary(max_size=300) | st.text().map(lambda text: msgspec.json.encode({"message": text})))
def test_status_error_is_printable(body):
    text = str(status_error(500, body))
    assert text.startswith("refused: 500")
    assert len(text) < 200


@given(st.binary(max_size=300))
def test_preview_is_short_and_printable(body):
    assert len(preview(body)) <= 80
    assert preview(body).isprintable()
