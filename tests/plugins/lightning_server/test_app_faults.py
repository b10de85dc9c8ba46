"""The Lightning-compatible server survives nonsense, and the death of the voice's process."""

import asyncio
import os
import signal

import aiohttp
import psutil
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.lightning_server.limits import ServerLimits
from tests.support.examples import examples
from tests.support.speech_socket import LIVE, Client, connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = "/waves/v1/tts"
LONG = "Later that evening, everybody walked home along the quiet river. " * 120

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    *("text", "voice_id", "model", "sample_rate", "speed", "language", "output_format", "session_id"),
    *("request_id", "continue", "flush", "max_buffer_flush_ms", "context_id", "max_buffer_delay_ms"),
    *("context_close", "cancel_request", "word_timestamps", "pronunciation_dicts", "complete_backoff_ms"),
]
messages = st.dictionaries(
    st.sampled_from(KEYS), anything | st.sampled_from(["a", True, 8000, 1.0, ""]), max_size=8
)
some = examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def still_speaks(url):
    async with connected(url) as client:
        await client.send("Fine.")
        assert (await client.until("complete")).seconds() > 0.1


@some
@given(st.data())
async def test_any_body_is_no_server_error(session, url, data):
    path = data.draw(st.sampled_from([WHOLE, LIVE]))
    if data.draw(st.booleans()):
        request = session.post(url + path, data=data.draw(st.binary(max_size=200)))
    else:
        request = session.post(url + path, json=data.draw(messages))
    async with request as reply:
        body = await reply.read()
        assert reply.status in {200, 400, 410}, body
        assert reply.status == 200 or b'"message"' in body


@some
@given(st.data())
async def test_any_frame_keeps_socket_open(session, url, data):
    async with session.ws_connect(url + LIVE) as socket:
        for _ in range(data.draw(st.integers(1, 4))):
            match data.draw(st.integers(0, 2)):
                case 0:
                    await socket.send_bytes(data.draw(st.binary(max_size=100)))
                case 1:
                    await socket.send_str(data.draw(st.text(st.characters(codec="utf-8"), max_size=100)))
                case _:
                    await socket.send_json(data.draw(messages))
        client = Client(socket)
        await client.send("Fine.", request_id="last-one", context_id="last-one")
        while True:
            frame = await client.frame()
            if frame["status"] == "complete" and frame.get("external_request_id") == "last-one":
                break


async def test_oversized_frame_closes_only_its_socket(url):
    async with connected(url) as client:
        await client.socket.send_str("x" * 70000)
        assert (await client.socket.receive()).type is aiohttp.WSMsgType.CLOSE
    await still_speaks(url)


async def test_full_queue_refuses_texts(voice):
    async with serve(voice, limits=ServerLimits(max_queued=5)) as url, connected(url) as client:
        await client.send("Soon. " * 300)
        for _ in range(20):
            await client.send("Hi there.")
        frame = await client.frame()
        while frame["status"] != "error":
            frame = await client.frame()
        assert frame["error"]["code"] == "TOO_MANY_REQUESTS"
        await still_speaks(url)


@pytest.mark.parametrize("path", ["websocket", LIVE, WHOLE])
async def test_voice_killed_while_speaking(path, session, url, voice):
    await still_speaks(url)
    if path == "websocket":
        async with connected(url) as client:
            await client.send(LONG, sample_rate=44100, request_id="r1")
            await client.frame()
            _kill_all(voice)
            heard = await client.until("error")
            assert set(heard.statuses) <= {"chunk", "error"}
            assert heard.frames[-1]["external_request_id"] == "r1"
            await client.send("Fine.")
            assert (await client.until("complete")).statuses == ["chunk", "complete"]
    else:
        status, body = await _posted_and_killed(session, url, path, voice)
        assert b"process ended" in body
        assert (status, b'"InternalServerError"' in body) == ((500, True) if path == WHOLE else (200, False))
        assert b'"done":true' not in body
    await still_speaks(url)


async def test_blocked_client_is_dropped(url, voice):
    impatient = serve(voice, limits=ServerLimits(send_timeout_s=0.5))
    async with (
        impatient as other,
        connected(other, timeout=aiohttp.ClientWSTimeout(ws_close=0.1)) as client,
    ):
        await client.send(LONG, sample_rate=44100)
        await client.socket.receive()
        client.socket._conn.protocol.pause_reading()
        await still_speaks(url)
        await _is_at_rest(voice)
    await still_speaks(url)


@pytest.mark.parametrize("path", ["websocket", LIVE, WHOLE])
async def test_hang_up_cancels_speech(path, url, voice):
    await still_speaks(url)
    before = _written(voice)
    if path == "websocket":
        async with connected(url) as client:
            await client.send(LONG, sample_rate=44100, speed=0.5)
            await client.frame()
    else:
        async with aiohttp.ClientSession() as session:
            asked = asyncio.create_task(_posted(session, url + path))
            await _is_speaking(voice)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
    await _is_at_rest(voice)
    assert _written(voice) - before < 60_000_000  # all of it is over 80 MB


def _written(voice):
    """Bytes that the children have written since they were started."""
    return sum(psutil.Process(pid).io_counters().write_chars for pid in voice.pids)


async def _posted(session, url):
    async with session.post(url, json={"text": LONG, "voice_id": "magnus", "speed": 0.5}) as reply:
        return await reply.read()


async def _is_at_rest(voice):
    async with asyncio.timeout(20):
        while len(voice._idle) != len(voice.pids):
            await asyncio.sleep(0.01)


def _kill_all(voice):
    for pid in voice.pids:
        os.kill(pid, signal.SIGKILL)


async def _posted_and_killed(session, url, path, voice):
    # So long that it cannot be ready before the voice is killed.
    request = session.post(url + path, json={"text": (LONG * 100)[:7900], "voice_id": "magnus"})
    if path == WHOLE:
        asked = asyncio.create_task(request.__aenter__())
        await _is_speaking(voice)
        await asyncio.sleep(0.2)  # a process that dies before its first sound is replaced without an error
        _kill_all(voice)
        reply = await asked
    else:
        reply = await request
        await reply.content.readuntil(b"\n\n")
        _kill_all(voice)
    async with reply:
        return reply.status, await reply.read()


async def _is_speaking(voice):
    async with asyncio.timeout(10):
        while len(voice._idle) == len(voice.pids):
            await asyncio.sleep(0.001)
