"""Common behaviour of the three Lightning transports, against a real server on loopback."""

import asyncio
import random
from contextlib import aclosing

import pytest

from edgevoice.errors import TransportError
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import KINDS, STREAMS, cut_short, opened, request, said, said_until, warm

TEXT = "d700z The first sentence. d1300z And the second one."


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
@pytest.mark.parametrize("name", KINDS)
async def test_speech_is_exact(server, name, rate):
    async with opened(name, server.url, sample_rate=rate) as transport:
        assert await said(transport, TEXT, sample_rate=rate) == server.expected(TEXT, rate)


@pytest.mark.parametrize("split", [1, 3, 1001, 65535])
@pytest.mark.parametrize("name", STREAMS)
async def test_split_samples_are_joined(server, name, split):
    text = "d60z One." if split == 1 else TEXT
    server.split = split
    async with opened(name, server.url) as transport:
        assert await said(transport, text) == server.expected(text)


@pytest.mark.parametrize("name", STREAMS)
async def test_audio_arrives_before_speech_is_complete(server, name):
    server.pace = 10
    async with opened(name, server.url) as transport:
        speech = transport.synthesize(request("d5000z A long one."))
        first = await anext(speech)
        assert 0 < server.requests[0].made < len(server.expected("d5000z A long one.")) / 4
        rest = b"".join([pcm async for pcm in speech])
    assert first + rest == server.expected("d5000z A long one.")


@pytest.mark.parametrize("name", KINDS)
async def test_request_carries_options(server, name):
    options = {"model": "lightning_v3.1_pro", "voice": "meher", "pronunciation_dicts": ("d1",)}
    async with opened(name, server.url, key="sk_test", **options) as transport:
        await said(transport, "d50z Hi.", language="hi", speed=1.5)
        await said(transport, "d50z Hi.", voice="rhea")
    first, second = server.requests
    assert first.headers["Authorization"] == "Bearer sk_test"
    assert first.headers["User-Agent"].startswith("EdgeVoice/")
    expected = {"voice_id": "meher", "model": "lightning_v3.1_pro", "language": "hi", "speed": 1.5}
    assert first.body.items() >= (expected | {"sample_rate": 24000, "text": "d50z Hi."}).items()
    assert first.body["pronunciation_dicts"] == ["d1"]
    assert second.body.items() >= {"voice_id": "rhea", "language": "en", "speed": 1.0}.items()


@pytest.mark.parametrize("name", KINDS)
async def test_cancel_at_any_time_then_next_is_exact(server, name):
    dice = random.Random(7)
    server.pace = 100
    async with opened(name, server.url) as transport:
        for number in range(25):
            text = f"d{dice.randrange(200, 3000)}z Number {number}."
            task = asyncio.create_task(said(transport, text))
            await asyncio.sleep(dice.random() * 0.03)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.until(lambda: server.in_flight == 0)
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert server.most_in_flight <= 2


@pytest.mark.parametrize("name", STREAMS)
async def test_early_close_cancels_at_server(server, name):
    server.pace = 20
    async with opened(name, server.url) as transport:
        heard = await cut_short(transport, "d9000z A long one.", 3)
        assert server.expected("d9000z A long one.").startswith(heard)
        await server.until(lambda: server.requests[0].cancelled)
        assert await said(transport, TEXT) == server.expected(TEXT)


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_requests_share_connection(server, name):
    async with opened(name, server.url) as transport:
        await warm(transport)
        for number in range(8):
            assert await said(transport, f"d90z {number}.") == server.expected(f"d90z {number}.")
    assert len({asked.peer for asked in server.requests}) == 1


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_closed_idle_connection_is_no_failure(server, name):
    async with opened(name, server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(reset=True, at=-1), on=name)
        assert await said(transport, "d90z Two.") == server.expected("d90z Two.")


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_broken_new_connection_not_retried(server, name):
    server.plan(Fault(reset=True, at=-1), on=name)
    async with opened(name, server.url) as transport:
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, TransportError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", STREAMS)
async def test_slow_listener_stops_server(server, name):
    async with opened(name, server.url) as transport:
        async with aclosing(transport.synthesize(request("d3600000z An hour."))) as speech:
            await anext(speech)
            await asyncio.sleep(1)
            made = server.requests[0].made
            assert made < 30_000_000 < len_of_an_hour(24000)
            await asyncio.sleep(0.3)
            assert server.requests[0].made == made
        await server.until(lambda: server.requests[0].cancelled)


def len_of_an_hour(rate):
    return 3600 * rate * 2
