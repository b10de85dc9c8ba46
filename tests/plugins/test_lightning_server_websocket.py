"""The Lightning-compatible server over WebSocket, with the real local voice."""

import asyncio
import json

import aiohttp
import pytest
import pytest_asyncio

from edgevoice_plugins.lightning_server import delivery
from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.local_voice.pool import VoicePool
from tests.support.speech_socket import LIVE, Heard, connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCE = "Please open the kitchen window."
SECOND = "This is the second answer."
LONG = "Later that evening, everybody walked home along the quiet river. " * 120
PIECES = ["Let me ", "check ", "that for ", "you. ", "Your or", "der ships ", "tomorrow ", "morning."]


def letters(text):
    return sum(map(str.isalnum, text))


def is_speech_of(text, seconds):
    return 0.042 * letters(text) < seconds < 0.105 * letters(text) + 0.3


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def voice():
    async with VoicePool() as voice:
        yield voice


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url(voice):
    async with serve(voice) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def client(url):
    async with connected(url) as client:
        yield client


async def test_a_whole_text_is_chunks_of_whole_samples_and_one_complete(client):
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


async def test_requests_in_a_row_are_spoken_in_their_order_each_with_its_own_ids(client):
    texts = [SENTENCE, "One.", SECOND]
    for number, text in enumerate(texts):
        await client.send(text, request_id=f"r{number}")
    heard = await client.until("complete", 3)
    assert heard.statuses == ["chunk", "complete"] * 3
    assert len({frame["session_id"] for frame in heard.frames}) == 1
    assert heard.frames[0]["session_id"].startswith("ws_")
    for number, text in enumerate(texts):
        part = Heard([frame for frame in heard.frames if frame["external_request_id"] == f"r{number}"])
        assert len({frame["request_id"] for frame in part.frames}) == 1
        assert is_speech_of(text, part.seconds())
    assert len({frame["request_id"] for frame in heard.frames}) == 3
    await client.send(SECOND)
    later = await client.until("complete")
    assert not {"external_session_id", "external_request_id"} & later.frames[0].keys()
    assert later.frames[0]["session_id"] == heard.frames[0]["session_id"]


async def test_the_next_request_is_read_while_the_first_is_spoken(client):
    await client.send(LONG, request_id="long")
    assert (await client.frame())["external_request_id"] == "long"
    await client.send("", cancel_request=True)
    await client.send(SECOND, request_id="second")
    heard = await client.until("complete", 2)
    first = Heard([frame for frame in heard.frames if frame["external_request_id"] == "long"])
    assert first.of("complete")
    assert not is_speech_of(LONG, first.seconds())


@pytest.mark.parametrize("rate", [8000, 16000, 44100, None])
async def test_each_rate_is_spoken_and_44100_where_none_is_asked(client, rate):
    await client.send(SENTENCE, sample_rate=rate)
    assert is_speech_of(SENTENCE, (await client.until("complete")).seconds(rate or 44100))


@pytest.mark.parametrize("path", ["/api/v1/tts/live", "/waves/v1/lightning-v3.1/get_speech/stream?timeout=9"])
async def test_older_routes_speak_too(url, path):
    async with connected(url, path) as client:
        await client.send(SENTENCE)
        assert is_speech_of(SENTENCE, (await client.until("complete")).seconds())


@pytest.mark.parametrize("closing", [{"text": "", "flush": True}, {"text": "", "continue": False}, None])
async def test_pieces_are_joined_verbatim_until_flush_or_the_last_one_with_one_complete(client, closing):
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


async def test_pieces_are_spoken_after_their_flush_time(client):
    await client.send("Spoken without an end", **{"continue": True, "max_buffer_flush_ms": 100})
    assert is_speech_of("Spoken without an end", (await client.until("complete")).seconds())


async def test_sentences_of_a_context_are_spoken_as_they_become_whole(client):
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
async def test_closing_a_context_speaks_what_is_left_of_it_at_its_own_rate(client, closing):
    await client.send("left unfinished", context_id="c", **{"continue": True}, sample_rate=8000)
    await client.silence(0.2)
    await client.socket.send_json({"context_id": "c", **closing})
    assert is_speech_of("left unfinished", (await client.until("complete")).seconds(8000))
    await client.silence()


async def test_a_context_is_spoken_when_its_pieces_have_waited_long_enough(client):
    await client.send("no end in ", **{"context_id": "c", "continue": True, "max_buffer_delay_ms": 300})
    await client.send("sight", **{"context_id": "c", "continue": True, "max_buffer_delay_ms": 300})
    assert is_speech_of("no end in sight", (await client.until("complete")).seconds())


async def test_a_cancelled_context_drops_its_text_and_stays_usable(client):
    await client.send(
        "unfinished words", **{"context_id": "c", "continue": True, "max_buffer_delay_ms": 5000}
    )
    await client.socket.send_json({"context_id": "c", "cancel_request": True})
    await client.send(SECOND, **{"context_id": "c", "continue": False})
    heard = await client.until("complete")
    assert is_speech_of(SECOND, heard.seconds())
    await client.silence()


async def test_cancelling_also_stops_what_is_being_said_of_that_context_and_no_other(client):
    await client.send("Soon. " + LONG[:7000], **{"context_id": "a", "continue": False})
    await client.send(SECOND, context_id="b", request_id="other")
    await client.frame()
    await client.socket.send_json({"context_id": "a", "cancel_request": True})
    heard = await client.until("complete", 2)
    other = Heard([frame for frame in heard.frames if frame.get("external_request_id") == "other"])
    assert is_speech_of(SECOND, other.seconds())
    assert heard.seconds() - other.seconds() < 0.042 * letters(LONG[:7000])


async def test_empty_closes_and_blank_texts_get_no_frame_at_all(client):
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


async def test_a_lone_blank_does_not_end_pieces_that_are_still_arriving(client):
    await client.send("first half ", **{"continue": True})
    await client.send(" ")
    await client.silence(0.2)
    await client.send("second half", **{"continue": False})
    assert is_speech_of("first half second half", (await client.until("complete")).seconds())


async def test_words_are_told_with_their_times_by_the_voices_that_can(client):
    await client.send(SENTENCE, word_timestamps=True, voice_id="meher")
    heard = await client.until("complete")
    words = [frame["data"] for frame in heard.of("word_timestamp")]
    assert [word["word"] for word in words] == SENTENCE.split()
    assert [word["id"] for word in words] == list(range(5))
    assert all(0 <= word["start"] <= word["end"] <= heard.seconds() + 0.1 for word in words)
    for keys in ({"voice_id": "magnus", "word_timestamps": True}, {"voice_id": "meher"}):
        await client.send(SENTENCE, **keys)
        assert not (await client.until("complete")).of("word_timestamp")


async def test_a_text_that_says_nothing_is_a_short_silence_and_complete(client):
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
async def test_a_bad_message_gets_an_error_frame_and_the_socket_stays_usable(client, message, named):
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


async def test_a_retired_model_gets_an_error_frame_that_names_its_successor(client):
    await client.send(SENTENCE, model="lightning_v2", request_id="r1")
    frame = await client.frame()
    assert frame["error"]["code"] == "MODEL_DEPRECATED"
    assert "'lightning_v3.1'" in frame["message"]
    assert frame["external_request_id"] == "r1"


async def test_a_text_over_the_limit_gets_an_error_frame_that_names_the_limit(voice):
    async with serve(voice, max_chars=250) as url, connected(url) as client:
        await client.send("x " * 125)
        assert (await client.until("complete")).seconds() > 1
        await client.send("x " * 126)
        assert "250" in (await client.frame())["message"]
        for _ in range(3):
            await client.send("word " * 20, **{"continue": True})
        assert "250" in (await client.frame())["message"]
        await client.send("word " * 20, **{"continue": False})
        assert is_speech_of("word" * 20, (await client.until("complete")).seconds())


async def test_a_key_and_the_origin_are_asked_for_before_the_upgrade(voice, url):
    async with serve(voice, api_key="sk_right") as locked:
        for headers in ({}, {"Authorization": "Bearer sk_wrong"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with connected(locked, headers=headers):
                    pass
            assert refused.value.status == 401
        async with connected(locked, headers={"Authorization": "Bearer sk_right"}) as client:
            await client.send("Hello.")
            await client.until("complete")
    for origin, status in {"http://evil.example": 403, "null": 403}.items():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(url, headers={"Origin": origin}):
                pass
        assert refused.value.status == status
    async with connected(url, headers={"Origin": url}) as client:
        await client.send("Hello.")
        await client.until("complete")


async def test_the_route_of_a_retired_model_is_gone_before_the_upgrade(url):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(url, "/waves/v1/lightning-v2/get_speech/stream"):
            pass
    assert refused.value.status == 410


async def test_an_idle_socket_is_told_so_and_closed(url):
    async with connected(url, f"{LIVE}?timeout=1") as client:
        frame = await client.frame()
        assert frame["status"] == "error"
        assert frame["message"] == "Connection timed out after 1 seconds of inactivity"
        assert (await client.socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_any_message_keeps_a_socket_from_being_idle(url):
    async with connected(url, f"{LIVE}?timeout=1") as client:
        for _ in range(4):
            await client.silence(0.5)
            await client.send(" ")
        await client.send("Hello.")
        await client.until("complete")


@pytest.mark.parametrize("given", ["0", "-1", "x", "", "1.5", "²"])
async def test_a_time_out_that_is_none_is_refused_before_the_upgrade(url, given):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(url, f"{LIVE}?timeout={given}"):
            pass
    assert refused.value.status == 400


async def test_pings_come_while_something_is_due(url, voice, monkeypatch):
    monkeypatch.setattr(delivery, "PING", 0.02)
    # Both children are kept busy, so that the text has to wait.
    slow = [voice.speak(LONG, rate=44100) for _ in range(2)]
    for speech in slow:
        await anext(speech)
    async with connected(url, autoping=False) as client:
        await client.send(SENTENCE)
        for _ in range(3):
            message = await client.socket.receive()
            assert message.type is aiohttp.WSMsgType.PING
            await client.socket.pong(message.data)
        for speech in slow:
            await speech.aclose()
        heard = Heard()
        while not heard.of("complete"):
            message = await client.socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                heard.frames.append(json.loads(message.data))
        assert is_speech_of(SENTENCE, heard.seconds())


async def test_a_dropped_socket_stops_its_speech_and_the_next_one_is_served(url, voice):
    for hard in (False, True):
        for _ in range(3):
            async with connected(url) as client:
                await client.send(LONG, sample_rate=44100)
                await client.frame()
                if hard:
                    client.socket.get_extra_info("socket").shutdown(2)
            async with connected(url) as client:
                await client.send(SECOND)
                assert is_speech_of(SECOND, (await client.until("complete")).seconds())
    async with asyncio.timeout(10):
        while len(voice._idle) != len(voice.pids):  # noqa: ASYNC110 - children coming to rest tell no event
            await asyncio.sleep(0.01)


async def test_many_idle_sockets_are_nothing_special(url):
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url + LIVE) for _ in range(60)]
        async with connected(url) as client:
            await client.send(SECOND)
            assert is_speech_of(SECOND, (await client.until("complete")).seconds())
        for socket in sockets:
            await socket.close()


async def test_ending_the_server_closes_its_sockets(voice):
    async with aiohttp.ClientSession() as session:
        async with serve(voice) as url:
            idle = await session.ws_connect(url + LIVE)
            busy = await session.ws_connect(url + LIVE)
            await busy.send_json({"text": LONG, "voice_id": "magnus"})
            await busy.receive()
            closing = asyncio.create_task(idle.receive())
        assert (await closing).data == aiohttp.WSCloseCode.GOING_AWAY
        async with asyncio.timeout(10):
            while (await busy.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.ws_connect(url + LIVE)
