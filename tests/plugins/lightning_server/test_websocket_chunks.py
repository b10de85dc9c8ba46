"""Texts in pieces to the Lightning-compatible server: flushed, closed, cancelled, or spoken by sentences."""

import pytest

from tests.support.local_voice import LONG, SENTENCE, is_speech_of
from tests.support.speech_socket import Heard

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "This is the second answer."
PIECES = ["Let me ", "check ", "that for ", "you. ", "Your or", "der ships ", "tomorrow ", "morning."]


@pytest.mark.parametrize("closing", [{"text": "", "flush": True}, {"text": "", "continue": False}, None])
async def test_chunks_joined_until_flush(client, closing):
    for piece in PIECES[:-1]:
        await client.send(piece, **{"continue": True, "flush": False, "max_buffer_flush_ms": 0})
    await client.silence(0.2)
    await client.send(PIECES[-1], **{"continue": closing is not None})
    if closing:
        await client.send(**closing, max_buffer_flush_ms=0)
    heard = await client.until("complete")
    whole = "".join(PIECES)
    assert is_speech_of(whole, heard.seconds())
    assert heard.statuses == ["chunk", "complete"]
    await client.send(whole)
    assert (await client.until("complete")).seconds() == pytest.approx(heard.seconds(), rel=0.02)


async def test_chunks_spoken_after_flush_time(client):
    await client.send("Spoken without an end", **{"continue": True, "max_buffer_flush_ms": 100})
    assert is_speech_of("Spoken without an end", (await client.until("complete")).seconds())


async def test_context_speaks_complete_sentences(client):
    keys = {"context_id": "ctx-1.a_b", "continue": True, "max_buffer_delay_ms": 5000}
    for piece in PIECES[:-1]:
        await client.send(piece, **keys)
    first = await client.until("complete")
    assert is_speech_of("Let me check that for you", first.seconds())
    await client.silence()
    await client.send(PIECES[-1], **keys)
    second = await client.until("complete")
    assert is_speech_of("Your order ships tomorrow morning", second.seconds())
    assert second.frames[0]["session_id"] == first.frames[0]["session_id"]
    assert second.frames[0]["request_id"] != first.frames[0]["request_id"]
    assert not any("context_id" in frame for frame in first.frames + second.frames)
    await client.send("", **{"context_id": "ctx-1.a_b", "continue": False})
    await client.silence()


@pytest.mark.parametrize("closing", [{"continue": False}, {"continue": True, "context_close": True}])
async def test_context_close_speaks_rest(client, closing):
    await client.send("left unfinished", context_id="c", **{"continue": True}, sample_rate=8000)
    await client.silence(0.2)
    await client.socket.send_json({"context_id": "c", **closing})
    assert is_speech_of("left unfinished", (await client.until("complete")).seconds(8000))
    await client.silence()


async def test_context_spoken_after_buffer_delay(client):
    await client.send("no end in ", **{"context_id": "c", "continue": True, "max_buffer_delay_ms": 300})
    await client.send("sight", **{"context_id": "c", "continue": True, "max_buffer_delay_ms": 300})
    assert is_speech_of("no end in sight", (await client.until("complete")).seconds())


async def test_context_cancel_drops_text(client):
    await client.send(
        "unfinished words", **{"context_id": "c", "continue": True, "max_buffer_delay_ms": 5000}
    )
    await client.socket.send_json({"context_id": "c", "cancel_request": True})
    await client.send(SECOND, **{"context_id": "c", "continue": False})
    heard = await client.until("complete")
    assert is_speech_of(SECOND, heard.seconds())
    await client.silence()


async def test_context_cancel_stops_only_its_speech(client):
    await client.send("Soon. " + LONG[:7000], **{"context_id": "a", "continue": False})
    await client.send(SECOND, context_id="b", request_id="other")
    await client.frame()
    await client.socket.send_json({"context_id": "a", "cancel_request": True})
    heard = await client.until("complete", 2)
    other = Heard([frame for frame in heard.frames if frame.get("external_request_id") == "other"])
    assert is_speech_of(SECOND, other.seconds())
    assert heard.seconds() - other.seconds() < 0.042 * 5000


async def test_blank_text_gets_no_frame(client):
    await client.send(context_id="c3", **{"continue": False})
    await client.socket.send_json({"context_id": "c4", "context_close": True})
    await client.socket.send_json({"context_id": "c5", "cancel_request": True})
    await client.socket.send_json(
        {"text": " ", "voice_id": "magnus", "model": "lightning_v3.1", "language": "en"}
    )
    await client.send("", flush=True)
    await client.send("", **{"continue": False})
    await client.send("")
    await client.silence()
    await client.send(SENTENCE)
    assert is_speech_of(SENTENCE, (await client.until("complete")).seconds())


async def test_blank_does_not_end_chunks(client):
    await client.send("first half ", **{"continue": True})
    await client.send(" ")
    await client.silence(0.2)
    await client.send("second half", **{"continue": False})
    assert is_speech_of("first half second half", (await client.until("complete")).seconds())
