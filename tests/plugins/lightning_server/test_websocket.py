"""Whole texts to the Lightning-compatible server over WebSocket, with the real local voice."""

import pytest

from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.lightning_server.limits import ServerLimits
from tests.support.local_voice import LONG, SENTENCE, is_speech_of
from tests.support.speech_socket import Heard, connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "This is the second answer."


async def test_whole_text_is_chunks_and_complete(client):
    await client.send(SENTENCE, request_id="req-1", session_id="sess_2")
    heard = await client.until("complete")
    assert heard.statuses == ["chunk", "complete"]
    assert is_speech_of(SENTENCE, heard.seconds())
    assert all(chunk and len(chunk) % 2 == 0 for chunk in heard.chunks)
    assert {frame["external_request_id"] for frame in heard.frames} == {"req-1"}
    assert {frame["external_session_id"] for frame in heard.frames} == {"sess_2"}
    assert heard.frames[-1].keys() == {
        *("session_id", "request_id", "status", "external_session_id", "external_request_id"),
    }
    await client.silence()


async def test_requests_spoken_in_order_with_own_ids(client):
    texts = [SENTENCE, "One.", SECOND]
    for number, text in enumerate(texts):
        await client.send(text, request_id=f"r{number}")
    heard = await client.until("complete", 3)
    assert heard.statuses == ["chunk", "complete"] * 3
    assert len({frame["session_id"] for frame in heard.frames}) == 1
    assert heard.frames[0]["session_id"].startswith("ws_")
    assert not any("external_session_id" in frame for frame in heard.frames)
    for number, text in enumerate(texts):
        part = Heard([frame for frame in heard.frames if frame["external_request_id"] == f"r{number}"])
        assert len({frame["request_id"] for frame in part.frames}) == 1
        assert is_speech_of(text, part.seconds())
    assert len({frame["request_id"] for frame in heard.frames}) == 3
    await client.send(SECOND)
    later = await client.until("complete")
    assert not {"external_session_id", "external_request_id"} & later.frames[0].keys()
    assert later.frames[0]["session_id"] == heard.frames[0]["session_id"]


async def test_request_read_while_speaking(client):
    await client.send(LONG, request_id="long")
    assert (await client.frame())["external_request_id"] == "long"
    await client.send("", cancel_request=True)
    await client.send(SECOND, request_id="second")
    heard = await client.until("complete", 2)
    first = Heard([frame for frame in heard.frames if frame["external_request_id"] == "long"])
    assert first.of("complete")
    assert not is_speech_of(LONG, first.seconds())


@pytest.mark.parametrize("rate", [8000, 16000, 44100, None])
async def test_each_rate_default_44100(client, rate):
    await client.send(SENTENCE, sample_rate=rate)
    assert is_speech_of(SENTENCE, (await client.until("complete")).seconds(rate or 44100))


@pytest.mark.parametrize("path", ["/api/v1/tts/live", "/waves/v1/lightning-v3.1/get_speech/stream?timeout=9"])
async def test_older_routes(url, path):
    async with connected(url, path) as client:
        await client.send(SENTENCE)
        assert is_speech_of(SENTENCE, (await client.until("complete")).seconds())


async def test_word_timestamps(client):
    await client.send(SENTENCE, word_timestamps=True, voice_id="meher")
    heard = await client.until("complete")
    words = [frame["data"] for frame in heard.of("word_timestamp")]
    assert [word["word"] for word in words] == SENTENCE.split()
    assert [word["id"] for word in words] == list(range(5))
    assert all(0 <= word["start"] <= word["end"] <= heard.seconds() + 0.1 for word in words)
    for keys in ({"voice_id": "magnus", "word_timestamps": True}, {"voice_id": "meher"}):
        await client.send(SENTENCE, **keys)
        assert not (await client.until("complete")).of("word_timestamp")


async def test_text_without_words_is_short_silence(client):
    await client.send("...")
    heard = await client.until("complete")
    assert heard.pcm == bytes(4800)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"sample_rate": 24000}, "text"),
        ({"voice_id": "magnus"}, "text"),
        ({"text": "Hello"}, "voice_id"),
        ({"text": "Hello", "voice_id": "magnus", "sample_rate": 11025}, "sample_rate"),
        ({"text": "Hello", "voice_id": "magnus", "context_id": "c", "flush": True}, "context_id"),
        ({"text": "Hello", "voice_id": "magnus", "context_id": "c", "max_buffer_flush_ms": 10}, "context_id"),
        ({"text": "Hello", "voice_id": "magnus", "context_id": "a b"}, "context_id"),
        ({"text": "Hello", "voice_id": "magnus", "max_buffer_delay_ms": 5001}, "max_buffer_delay_ms"),
        ({"text": "Hello", "voice_id": "magnus", "model": "lightning_v9"}, "lightning_v9"),
        (["Hello"], "JSON object"),
    ],
    ids=str,
)
async def test_bad_message_keeps_socket_usable(client, message, named):
    await client.socket.send_json(message)
    frame = await client.frame()
    assert frame["status"] == "error"
    assert named in frame["message"]
    assert frame["error"]["message"] == frame["message"]
    assert frame["error"]["code"]
    assert frame["session_id"]
    assert frame["request_id"]
    await client.send("Fine.")
    assert (await client.until("complete")).statuses == ["chunk", "complete"]


async def test_retired_model_names_successor(client):
    await client.send(SENTENCE, model="lightning_v2", request_id="r1")
    frame = await client.frame()
    assert frame["error"]["code"] == "MODEL_DEPRECATED"
    assert "'lightning_v3.1'" in frame["message"]
    assert frame["external_request_id"] == "r1"


async def test_too_long_text_names_limit(voice):
    async with serve(voice, limits=ServerLimits(max_chars=250)) as url, connected(url) as client:
        await client.send("x " * 125)
        assert (await client.until("complete")).seconds() > 1
        await client.send("x " * 126)
        assert "250" in (await client.frame())["message"]
        for _ in range(3):
            await client.send("word " * 20, **{"continue": True})
        assert "250" in (await client.frame())["message"]
        await client.send("word " * 20, **{"continue": False})
        assert is_speech_of("word" * 20, (await client.until("complete")).seconds())
