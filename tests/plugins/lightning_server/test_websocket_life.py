"""The life of a socket of the Lightning-compatible server: let in, pinged, idle, dropped, closed."""

import asyncio
import contextlib
import json

import aiohttp
import pytest

from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.lightning_server.limits import ServerLimits
from tests.support.local_voice import LONG, SENTENCE, is_speech_of
from tests.support.speech_socket import LIVE, Heard, connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = "This is the second answer."


async def test_key_origin_and_host_checked_before_upgrade(voice, url):
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
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(url, headers={"Host": "evil.example", "Origin": "http://evil.example"}):
            pass
    assert refused.value.status == 403
    async with connected(url, headers={"Origin": url}) as client:
        await client.send("Hello.")
        await client.until("complete")


async def test_retired_model_refused_before_upgrade(url):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(url, "/waves/v1/lightning-v2/get_speech/stream"):
            pass
    assert refused.value.status == 410


async def test_idle_socket_is_closed(url):
    async with connected(url, f"{LIVE}?timeout=1") as client:
        frame = await client.frame()
        assert frame["status"] == "error"
        assert frame["message"] == "Connection timed out after 1 seconds of inactivity"
        assert (await client.socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_message_resets_idle_timeout(url):
    async with connected(url, f"{LIVE}?timeout=1") as client:
        for _ in range(4):
            await client.silence(0.5)
            await client.send(" ")
        await client.send("Hello.")
        await client.until("complete")


@pytest.mark.parametrize("given", ["0", "-1", "x", "", "1.5", "²"])
async def test_bad_timeout_refused_before_upgrade(url, given):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(url, f"{LIVE}?timeout={given}"):
            pass
    assert refused.value.status == 400


async def test_pings_while_speech_is_due(voice):
    # Both children are kept busy, so that the text has to wait.
    slow = [voice.speak(LONG, rate=44100) for _ in range(2)]
    for speech in slow:
        await anext(speech)
    async with (
        serve(voice, limits=ServerLimits(ping_s=0.02)) as url,
        connected(url, autoping=False) as client,
    ):
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


async def test_dropped_socket_cancels_speech(url, voice):
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
        while len(voice._idle) != len(voice.pids):
            await asyncio.sleep(0.01)


async def test_many_idle_sockets(url):
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url + LIVE) for _ in range(60)]
        async with connected(url) as client:
            await client.send(SECOND)
            assert is_speech_of(SECOND, (await client.until("complete")).seconds())
        for socket in sockets:
            await socket.close()


async def test_server_end_closes_sockets(voice):
    async with aiohttp.ClientSession() as session:
        async with serve(voice) as url:
            idle = await session.ws_connect(url + LIVE)
            busy = await session.ws_connect(url + LIVE)
            await busy.send_json({"text": LONG, "voice_id": "magnus"})
            await busy.receive()
            closing = asyncio.create_task(idle.receive())
        assert (await closing).data == aiohttp.WSCloseCode.GOING_AWAY
        # The client may find the connection closed while it answers the close.
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with asyncio.timeout(10):
                while (await busy.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.ws_connect(url + LIVE)
