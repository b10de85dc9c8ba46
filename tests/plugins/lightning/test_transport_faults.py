"""Faults of a Lightning server: each transport raises an error that says why, and never plays noise."""

import gzip
import math

import psutil
import pytest

from edgevoice.errors import AccountRefused, TransportError
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import KINDS, STREAMS, opened, request, said, said_until

TEXT = "d700z The first sentence. d1300z And the second one."


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


@pytest.mark.parametrize("status", [401, 402, 403, 410])
@pytest.mark.parametrize("name", KINDS)
async def test_account_refused_once(server, name, status):
    body = b'{"error_code":"X","message":"because so","recommended_endpoint":"/waves/v1/tts"}'
    server.plan(Fault(status=status, body=body, at=-1), on=name)
    async with opened(name, server.url) as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == b""
    assert isinstance(error, AccountRefused)
    assert str(status) in str(error)
    assert "because so" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_retired_model_names_successor(server, name):
    body = b'{"status":"error","error_code":"MODEL_DEPRECATED","message":"gone","recommended_endpoint":"/new/tts"}'
    server.plan(Fault(status=410, body=body), on=name)
    async with opened(name, server.url) as transport:
        _, error = await said_until(transport, request(TEXT))
    assert "use /new/tts instead" in str(error)


BEFORE_THE_FIRST_SAMPLE = {
    "429": Fault(
        status=429, body=b'{"error":"TooManyRequests","message":"busy"}', headers={"Retry-After": "1"}
    ),
    "500": Fault(status=500, body=b'{"error":"InternalServerError","message":"oops"}'),
    "502 with HTML": Fault(
        status=502, body=b"<html>Bad gateway</html>", headers={"Content-Type": "text/html"}
    ),
    "cut before any answer": Fault(cut=True, at=-1),
    "reset before any answer": Fault(reset=True, at=-1),
    "cut after the headers": Fault(cut=True),
    "reset after the headers": Fault(reset=True),
    "HTML with 200": Fault(status=200, body=b"<html>Hello</html>", headers={"Content-Type": "text/html"}),
    "HTML called audio": Fault(
        status=200, body=b"<!doctype html><p>x", headers={"Content-Type": "audio/wav"}
    ),
    "JSON with 200": Fault(status=200, body=b'{"status":"error","message":"no"}'),
    "nothing with 200": Fault(status=200, body=b"", headers={"Content-Type": "audio/wav"}),
    "gzip": Fault(status=200, body=gzip.compress(bytes(9999)), headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_SAMPLE)
@pytest.mark.parametrize("name", KINDS)
async def test_fault_before_audio_then_next_is_exact(server, name, fault):
    async with opened(name, server.url) as transport:
        # Twice, as a line that was open before is tried a second time.
        server.plan(BEFORE_THE_FIRST_SAMPLE[fault], on=name, times=2)
        heard, error = await said_until(transport, request(TEXT))
        assert heard == b""
        assert type(error) is not AccountRefused
        assert isinstance(error, TransportError)
        assert len(str(error)) > 10
        server._plan.clear()
        assert await said(transport, TEXT) == server.expected(TEXT)


AFTER_SOME = {
    "cut": Fault(cut=True, at=5),
    "reset": Fault(reset=True, at=5),
    "ended without its end": Fault(close=1000, at=5),
    "closed with 1011": Fault(close=1011, at=5),
    "invalid base64": Fault(spoilt=True, at=5),
}


@pytest.mark.parametrize("fault", AFTER_SOME)
@pytest.mark.parametrize("name", STREAMS)
async def test_fault_in_stream_keeps_earlier_audio(server, name, fault):
    server.plan(AFTER_SOME[fault], on=name)
    async with opened(name, server.url) as transport:
        heard, error = await said_until(transport, request(TEXT))
        assert isinstance(error, TransportError)
        assert len(heard) < len(server.expected(TEXT))
        assert server.expected(TEXT).startswith(heard)
        if fault != "reset":
            assert heard
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", STREAMS)
async def test_fault_after_end_is_no_failure(server, name):
    server.plan(Fault(cut=True, at=math.inf), on=name)
    async with opened(name, server.url) as transport:
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert await said(transport, "d90z Next.") == server.expected("d90z Next.")


@pytest.mark.parametrize("at", [1, 3, 20])
async def test_cut_body_gives_nothing(server, at):
    server.plan(Fault(cut=True, at=at), on="http")
    async with opened("http", server.url) as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == b""
    assert isinstance(error, TransportError)


@pytest.mark.parametrize("at", [0, 4])
@pytest.mark.parametrize("name", STREAMS)
async def test_invalid_base64_is_error(server, name, at):
    server.plan(Fault(spoilt=True, at=at), on=name)
    async with opened(name, server.url) as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == server.expected(TEXT)[: at * 3840]
    assert "base64" in str(error)


@pytest.mark.parametrize("name", STREAMS)
async def test_odd_last_byte_is_dropped(server, name):
    server.plan(Fault(short=True), on=name)
    async with opened(name, server.url) as transport:
        assert await said(transport, TEXT) == server.expected(TEXT)[:-2]


@pytest.mark.parametrize("name", STREAMS)
async def test_single_byte_is_error(server, name):
    server.split = 1
    server.plan(Fault(close=1000, at=1), on=name)
    async with opened(name, server.url) as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == b""
    assert isinstance(error, TransportError)


@pytest.mark.parametrize("name", STREAMS)
async def test_stalled_server_is_error(server, name):
    server.plan(Fault(silent=True, at=3), on=name)
    async with opened(name, server.url, limits={"stall_s": 0.2}) as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == server.expected(TEXT)[: 3 * 3840]
    assert isinstance(error, TransportError)


@pytest.mark.parametrize("name", STREAMS)
async def test_endless_stream_is_error(server, name):
    server.plan(Fault(endless=True), on=name)
    async with opened(name, server.url, limits={"max_audio_s": 5}) as transport:
        heard, error = await said_until(transport, request("d1000z One."))
        assert len(heard) == 5 * 48000
        assert isinstance(error, TransportError)
        await server.until(lambda: server.requests[0].cancelled)


async def test_endless_body_is_error(server):
    server.plan(Fault(endless=True), on="http")
    async with opened("http", server.url, limits={"max_body_bytes": 200_000}) as transport:
        heard, error = await said_until(transport, request("d1000z One."))
        assert heard == b""
        assert "200000 bytes" in str(error)
        await server.until(lambda: server.requests[0].cancelled)


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_gzip_bomb_is_not_expanded(server, name):
    bomb = gzip.compress(bytes(300_000_000), 1)
    server.plan(Fault(status=200, body=bomb, headers={"Content-Encoding": "gzip"}), on=name)
    before = psutil.Process().memory_info().rss
    async with opened(name, server.url) as transport:
        _, error = await said_until(transport, request(TEXT))
    assert "compressed" in str(error)
    assert psutil.Process().memory_info().rss - before < 20_000_000


@pytest.mark.parametrize("name", KINDS)
async def test_redirect_not_followed(server, name):
    async with LightningServer() as other, opened(name, server.url, key="sk_test") as transport:
        fault = Fault(status=307, headers={"Location": other.url + "/waves/v1/tts"})
        server.plan(fault, on="upgrade" if name == "websocket" else name, times=9)
        heard, error = await said_until(transport, request(TEXT))
        assert heard == b""
        assert "redirect" in str(error)
        assert "sk_test" not in str(error)
        assert other.paths == []


@pytest.mark.parametrize("name", KINDS)
async def test_wrong_key_reported_but_not_shown(server, name):
    server.api_key = "sk_right"
    async with opened(name, server.url, key="sk_wrong") as transport:
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, AccountRefused)
    assert "401" in str(error)
    assert "sk_" not in str(error)


@pytest.mark.parametrize("name", KINDS)
async def test_unreachable_server_is_plain_error(server, name):
    async with opened(name, "http://127.0.0.1:1") as transport:
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, TransportError)
    assert "cannot reach http://127.0.0.1:1" in str(error)
