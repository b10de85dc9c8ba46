"""The WebSocket that the transport `websocket` keeps open, against a real server on loopback."""

import asyncio
import logging

import pytest

from edgevoice.errors import AccountRefused, TooManyRequests, TransportError
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import cut_short, opened, request, said, said_until

LOGGER = "edgevoice_plugins.lightning.transport"
TEXT = "d700z The first sentence. d1300z And the second one."


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


async def line_is_open(server, opened_so_far=1):
    await server.until(lambda: server.sockets_opened == opened_so_far and len(server.sockets) == 1)


async def test_pool_opens_before_first_request(server):
    async with opened("websocket", server.url, key="sk_test"):
        await line_is_open(server)
        assert server.requests == []
        assert server.paths == ["/waves/v1/tts/live?timeout=3600"]
    await server.until(lambda: not server.sockets)


async def test_pool_reuses_one_connection(server):
    async with opened("websocket", server.url) as transport:
        for number in range(20):
            assert await said(transport, f"d120z {number}.") == server.expected(f"d120z {number}.")
        assert server.sockets_opened == 1
    assert [asked.text for asked in server.requests] == [f"d120z {number}." for number in range(20)]
    assert all("context_id" not in asked.body for asked in server.requests)


async def test_pool_keeps_one_of_overlapping_connections(server):
    server.pace = 20
    texts = [f"d{400 + 100 * number}z Number {number}." for number in range(4)]
    async with opened("websocket", server.url) as transport:
        heard = await asyncio.gather(*(said(transport, text) for text in texts))
        assert heard == [server.expected(text) for text in texts]
        await server.until(lambda: len(server.sockets) == 1)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1008, 1011, 1013, 4000, 4001])
async def test_pool_reopens_at_once_after_idle_close(server, code):
    async with opened("websocket", server.url, limits={"retry_s": 600}) as transport:
        await said(transport, "d90z One.")
        await server.drop_lines(code)
        await line_is_open(server, 2)
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert server.sockets_opened == 2


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1009, 1011, 1013, 4000, 4001])
@pytest.mark.parametrize("at", [-1, 0, 6])
async def test_close_during_request_reports_code(server, code, at):
    fault = Fault(reset=True, at=at) if code == 1006 else Fault(close=code, at=at)
    server.plan(fault, on="websocket", times=2)
    async with opened("websocket", server.url) as transport:
        heard, error = await said_until(transport, request(TEXT))
        assert server.expected(TEXT).startswith(heard)
        assert isinstance(error, TransportError)
        assert not isinstance(error, AccountRefused)
        assert str(code) in str(error)
        server._plan.clear()
        assert await said(transport, TEXT) == server.expected(TEXT)


@pytest.mark.parametrize("fault", [Fault(reset=True, at=-1), Fault(close=1000, at=-1), Fault(cut=True)])
async def test_request_resent_after_dead_idle_connection(server, fault):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(fault, on="websocket")
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert len(server.requests) == 3


async def test_request_not_resent_after_dead_new_connection(server):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(reset=True, at=-1), on="websocket", times=9)
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, TransportError)
    assert len(server.requests) == 3


async def test_request_not_resent_after_first_audio(server):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(cut=True, at=2), on="websocket")
        heard, error = await said_until(transport, request(TEXT))
    assert heard == server.expected(TEXT)[: 2 * 3840]
    assert isinstance(error, TransportError)
    assert len(server.requests) == 2


async def test_cancelled_request_never_heard_in_next(server):
    server.pace = 50
    async with opened("websocket", server.url) as transport:
        for number in range(12):
            await cut_short(transport, f"d4000z Cancelled {number}.", 1 + number % 4)
            assert await said(transport, f"d150z {number}.") == server.expected(f"d150z {number}.")
        assert server.most_in_flight <= 2
        await server.until(lambda: len(server.sockets) == 1)


async def test_pool_reopens_after_cancelled_request(server):
    server.pace = 5
    async with opened("websocket", server.url) as transport:
        await cut_short(transport, "d9000z Cancelled.", 1)
        await server.until(lambda: server.requests[0].cancelled)
        await line_is_open(server, 2)


async def test_error_frame_replaces_connection(server):
    async with opened("websocket", server.url) as transport:
        server.plan(Fault(status=429, body=b"concurrency limit reached"), on="websocket")
        _, error = await said_until(transport, request(TEXT))
        assert type(error) is TooManyRequests
        assert "429" in str(error)
        assert "concurrency limit reached" in str(error)
        assert await said(transport, TEXT) == server.expected(TEXT)


async def test_unsolicited_audio_closes_connection(server):
    frame = '{"session_id":"ws_1","request_id":"task_0","status":"chunk","data":{"audio":"AAAA"}}'
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        await next(iter(server.sockets)).send_str(frame)
        await line_is_open(server, 2)
        assert await said(transport, TEXT) == server.expected(TEXT)


async def test_idle_error_frame_is_no_answer(server):
    frame = '{"status":"error","message":"Connection timed out after 60 seconds of inactivity"}'
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        await next(iter(server.sockets)).send_str(frame)
        await server.drop_lines(1000)
        assert await said(transport, TEXT) == server.expected(TEXT)


@pytest.mark.parametrize("status", [401, 402, 403, 410])
async def test_account_refusal_not_retried_in_background(server, status):
    server.plan(Fault(status=status), on="upgrade", times=9)
    async with opened("websocket", server.url) as transport:
        await server.until(lambda: len(server._plan) == 1 and server._plan[0][2] == 8)
        await asyncio.sleep(0.8)  # longer than the first delay of a retry
        assert len(server.paths) == 1
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, AccountRefused)
    assert str(status) in str(error)
    assert len(server.paths) == 2


async def test_failed_upgrade_retried_in_background(server):
    server.plan(Fault(status=503), on="upgrade")
    async with opened("websocket", server.url):
        await line_is_open(server)
    assert len(server.paths) == 2


async def test_request_does_not_wait_for_backoff(server, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    server.plan(Fault(status=503), on="upgrade")
    async with opened("websocket", server.url, limits={"retry_s": 600}) as transport:
        async with asyncio.timeout(5):
            while "503" not in caplog.text:
                await asyncio.sleep(0.01)
        assert await said(transport, TEXT) == server.expected(TEXT)


async def test_cancelled_request_keeps_opening_connection(server):
    async with opened("websocket", server.url) as transport:
        task = asyncio.create_task(said(transport, TEXT))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line_is_open(server)
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert server.sockets_opened == 1


async def test_exit_does_not_wait_for_unanswered_upgrade(server):
    server.plan(Fault(silent=True), on="upgrade", times=9)
    loop = asyncio.get_running_loop()
    async with opened("websocket", server.url):
        await server.until(lambda: len(server.paths) == 1)
        leaving_at = loop.time()
    assert loop.time() - leaving_at < 0.5
    assert len(server.paths) == 1


async def test_pool_reopens_after_each_closing_answer(server):
    async with opened("websocket", server.url) as transport:
        for number in range(4):
            assert await said(transport, f"d90z {number}.") == server.expected(f"d90z {number}.")
            await server.drop_lines(1000)
            await line_is_open(server, number + 2)


async def test_failed_upgrades_back_off(server, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    server.plan(Fault(status=503), on="upgrade", times=99)
    async with opened("websocket", server.url):
        await asyncio.sleep(1)
    assert 1 <= len(server.paths) <= 3
    assert "503" in caplog.text


async def test_oversized_frame_is_error(server):
    server.chunk = 200.0
    async with opened("websocket", server.url) as transport:
        heard, error = await said_until(transport, request("d180000z Large."))
    assert heard == b""
    assert isinstance(error, TransportError)


async def test_server_ping_is_answered(server):
    server.answers_pings = False  # so that it hears of pongs, too
    async with opened("websocket", server.url):
        await line_is_open(server)
        await next(iter(server.sockets)).ping(b"x")
        await server.until(lambda: server.pongs == 1)


async def test_missing_pong_replaces_connection(server):
    server.answers_pings = False
    async with opened("websocket", server.url, limits={"heartbeat_s": 0.2}) as transport:
        await said(transport, "d90z One.")
        await server.until(lambda: server.sockets_opened >= 2)


async def test_answered_pings_keep_connection(server):
    async with opened("websocket", server.url, limits={"heartbeat_s": 0.4}) as transport:
        await asyncio.sleep(1.5)
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert server.sockets_opened == 1
