"""The line that the transport `websocket` keeps open, against a real server on loopback."""

import asyncio
import logging

import pytest

from edgevoice.errors import AccountRefused, TooManyRequests, TransportError
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import cut_short, opened, request, said, said_until

KEEPER = "edgevoice_plugins.lightning.keeper"
TEXT = "d700z The first sentence. d1300z And the second one."


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


async def line_is_open(server, opened_so_far=1):
    await server.until(lambda: server.sockets_opened == opened_so_far and len(server.sockets) == 1)


async def test_the_line_is_open_before_anything_is_asked(server):
    async with opened("websocket", server.url, key="sk_test"):
        await line_is_open(server)
        assert server.requests == []
        assert server.paths == ["/waves/v1/tts/live?timeout=3600"]
    await server.until(lambda: not server.sockets)


async def test_twenty_announcements_go_over_one_line(server):
    async with opened("websocket", server.url) as transport:
        for number in range(20):
            assert await said(transport, f"d120z {number}.") == server.expected(f"d120z {number}.")
        assert server.sockets_opened == 1
    assert [asked.text for asked in server.requests] == [f"d120z {number}." for number in range(20)]
    assert all("context_id" not in asked.body for asked in server.requests)


async def test_several_announcements_at_once_have_lines_of_their_own_and_one_is_kept(server):
    server.pace = 20
    texts = [f"d{400 + 100 * number}z Number {number}." for number in range(4)]
    async with opened("websocket", server.url) as transport:
        heard = await asyncio.gather(*(said(transport, text) for text in texts))
        assert heard == [server.expected(text) for text in texts]
        await server.until(lambda: len(server.sockets) == 1)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1008, 1011, 1013, 4000, 4001])
async def test_a_line_that_the_server_drops_while_idle_is_opened_again_at_once(server, code):
    async with opened("websocket", server.url, limits={"retry_s": 600}) as transport:
        await said(transport, "d90z One.")
        await server.drop_lines(code)
        await line_is_open(server, 2)
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert server.sockets_opened == 2


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1009, 1011, 1013, 4000, 4001])
@pytest.mark.parametrize("at", [-1, 0, 6])
async def test_a_line_closed_on_a_request_is_an_error_with_its_code(server, code, at):
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
async def test_a_kept_line_that_dies_on_a_request_is_asked_once_more_on_a_fresh_one(server, fault):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(fault, on="websocket")
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert len(server.requests) == 3


async def test_a_fresh_line_that_dies_on_a_request_is_not_asked_again(server):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(reset=True, at=-1), on="websocket", times=9)
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, TransportError)
    assert len(server.requests) == 3


async def test_what_was_heard_is_not_asked_again(server):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(cut=True, at=2), on="websocket")
        heard, error = await said_until(transport, request(TEXT))
    assert heard == server.expected(TEXT)[: 2 * 3840]
    assert isinstance(error, TransportError)
    assert len(server.requests) == 2


async def test_a_cancelled_announcement_is_never_heard_in_the_next(server):
    server.pace = 50
    async with opened("websocket", server.url) as transport:
        for number in range(12):
            await cut_short(transport, f"d4000z Cancelled {number}.", 1 + number % 4)
            assert await said(transport, f"d150z {number}.") == server.expected(f"d150z {number}.")
        assert server.most_in_flight <= 2
        await server.until(lambda: len(server.sockets) == 1)


async def test_a_warm_line_waits_again_after_a_cancelled_announcement(server):
    server.pace = 5
    async with opened("websocket", server.url) as transport:
        await cut_short(transport, "d9000z Cancelled.", 1)
        await server.until(lambda: server.requests[0].cancelled)
        await line_is_open(server, 2)


async def test_an_error_frame_replaces_the_line(server):
    async with opened("websocket", server.url) as transport:
        server.plan(Fault(status=429, body=b"concurrency limit reached"), on="websocket")
        _, error = await said_until(transport, request(TEXT))
        assert type(error) is TooManyRequests
        assert "429" in str(error)
        assert "concurrency limit reached" in str(error)
        assert await said(transport, TEXT) == server.expected(TEXT)


async def test_audio_that_nobody_asked_for_closes_the_line(server):
    frame = '{"session_id":"ws_1","request_id":"task_0","status":"chunk","data":{"audio":"AAAA"}}'
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        await next(iter(server.sockets)).send_str(frame)
        await line_is_open(server, 2)
        assert await said(transport, TEXT) == server.expected(TEXT)


async def test_the_idle_error_frame_of_the_server_is_not_taken_for_an_answer(server):
    frame = '{"status":"error","message":"Connection timed out after 60 seconds of inactivity"}'
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        await next(iter(server.sockets)).send_str(frame)
        await server.drop_lines(1000)
        assert await said(transport, TEXT) == server.expected(TEXT)


@pytest.mark.parametrize("status", [401, 402, 403, 410])
async def test_an_upgrade_refused_for_the_account_is_not_tried_again_in_the_background(server, status):
    server.plan(Fault(status=status), on="upgrade", times=9)
    async with opened("websocket", server.url) as transport:
        await server.until(lambda: len(server._plan) == 1 and server._plan[0][2] == 8)
        await asyncio.sleep(0.8)  # longer than the first delay of a retry
        assert len(server.paths) == 1
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, AccountRefused)
    assert str(status) in str(error)
    assert len(server.paths) == 2


async def test_an_upgrade_that_fails_is_tried_again_in_the_background(server):
    server.plan(Fault(status=503), on="upgrade")
    async with opened("websocket", server.url):
        await line_is_open(server)
    assert len(server.paths) == 2


async def test_a_request_does_not_wait_for_the_next_try_in_the_background(server, caplog):
    caplog.set_level(logging.INFO, KEEPER)
    server.plan(Fault(status=503), on="upgrade")
    async with opened("websocket", server.url, limits={"retry_s": 600}) as transport:
        async with asyncio.timeout(5):
            while "503" not in caplog.text:
                await asyncio.sleep(0.01)
        assert await said(transport, TEXT) == server.expected(TEXT)


async def test_a_request_cancelled_while_the_line_is_being_opened_leaves_the_line(server):
    async with opened("websocket", server.url) as transport:
        task = asyncio.create_task(said(transport, TEXT))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line_is_open(server)
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert server.sockets_opened == 1


async def test_exit_does_not_wait_for_an_unanswered_upgrade(server):
    server.plan(Fault(silent=True), on="upgrade", times=9)
    loop = asyncio.get_running_loop()
    async with opened("websocket", server.url):
        await server.until(lambda: len(server.paths) == 1)
        leaving_at = loop.time()
    assert loop.time() - leaving_at < 0.5
    assert len(server.paths) == 1


async def test_a_server_that_closes_after_each_answer_is_met_with_a_new_line(server):
    async with opened("websocket", server.url) as transport:
        for number in range(4):
            assert await said(transport, f"d90z {number}.") == server.expected(f"d90z {number}.")
            await server.drop_lines(1000)
            await line_is_open(server, number + 2)


async def test_a_server_that_takes_no_line_is_asked_less_and_less(server, caplog):
    caplog.set_level(logging.INFO, KEEPER)
    server.plan(Fault(status=503), on="upgrade", times=99)
    async with opened("websocket", server.url):
        await asyncio.sleep(1)
    assert 1 <= len(server.paths) <= 3
    assert "503" in caplog.text


async def test_a_frame_that_is_too_large_is_refused(server):
    server.chunk = 200.0
    async with opened("websocket", server.url) as transport:
        heard, error = await said_until(transport, request("d180000z Large."))
    assert heard == b""
    assert isinstance(error, TransportError)


async def test_pings_of_the_server_are_answered(server):
    server.answers_pings = False  # so that it hears of pongs, too
    async with opened("websocket", server.url):
        await line_is_open(server)
        await next(iter(server.sockets)).ping(b"x")
        await server.until(lambda: server.pongs == 1)


async def test_a_line_whose_server_answers_no_ping_is_replaced(server):
    server.answers_pings = False
    async with opened("websocket", server.url, limits={"heartbeat_s": 0.2}) as transport:
        await said(transport, "d90z One.")
        await server.until(lambda: server.sockets_opened >= 2)


async def test_a_line_whose_server_answers_pings_stays(server):
    async with opened("websocket", server.url, limits={"heartbeat_s": 0.4}) as transport:
        await asyncio.sleep(1.5)
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert server.sockets_opened == 1
