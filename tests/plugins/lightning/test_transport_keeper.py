"""Connections that are open before a request needs them, over each transport, with servers that close idle ones."""

import asyncio
import gc
import itertools
import math
import sys

import pytest

from edgevoice import TransportError
from edgevoice_plugins.lightning.transport import IdleLimit
from tests.support.front import Front
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import KINDS, opened, opened_together, request, said, said_until, warm

SETTLES_SOON = {"settled_s": 0.1, "retry_s": 0.05}
TEXT = "d700z The first sentence. d1300z And the second one."
IDLENESS = b'{"status":"error","message":"Connection timed out after 60 seconds of inactivity"}'


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


@pytest.fixture
async def front(server):
    async with Front(server.url) as front:
        yield front


async def one_is_open(front, transport):
    await front.until(lambda: len(front.open) == 1)
    await warm(transport)


def passage_of(front, asked):
    return next(passage for passage in front.passages if passage.port == asked.peer)


@pytest.mark.parametrize("name", KINDS)
async def test_opens_before_first_request(server, front, name):
    async with opened(name, front.url, limits=SETTLES_SOON) as transport:
        assert not transport.is_warm
        await one_is_open(front, transport)
        assert server.requests == []
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert passage_of(front, server.requests[0]).number == 0
        await one_is_open(front, transport)
        assert len(front.passages) == 1


@pytest.mark.parametrize("name", KINDS)
async def test_reopens_after_idle_close(server, front, name):
    async with opened(name, front.url, limits=SETTLES_SOON) as transport:
        for number in range(3):
            front.idle_limit = 0.3 + 0.4 * number  # no two alike, so that it is never known
            over = front.given_up
            await front.until(lambda over=over: front.given_up > over)
            front.idle_limit = math.inf
            await one_is_open(front, transport)
            opened_before = len(front.passages)
            assert await said(transport, TEXT) == server.expected(TEXT)
            assert len(server.requests) == number + 1
            assert passage_of(front, server.requests[-1]).number < opened_before


async def test_known_idle_limit_http_is_used_before(server, front):
    front.idle_limit = 1.5
    async with opened("http", front.url, limits=SETTLES_SOON) as transport:
        await front.until(lambda: front.given_up == 2)
        learned = len(front.passages)
        await asyncio.sleep(4)
        assert (front.given_up, len(front.passages)) == (2, learned + 1)
        assert transport.is_warm
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert len(front.passages) == learned + 1


async def test_known_idle_limit_websocket_is_replaced_before(server, front):
    front.idle_limit = 1.5
    async with opened("websocket", front.url, limits=SETTLES_SOON) as transport:
        await front.until(lambda: front.given_up == 2)
        learned = len(front.passages)
        await front.until(lambda: len(front.passages) == learned + 3)
        assert front.given_up == 2
        renewed = front.passages[learned:]
        for old, new in itertools.pairwise(renewed):
            await front.until(lambda old=old: not old.is_open)
            assert new.opened < old.closed
        assert transport.is_warm
        assert await said(transport, TEXT) == server.expected(TEXT)


@pytest.mark.parametrize("name", KINDS)
async def test_reopens_after_server_outage(server, front, name, caplog):
    caplog.set_level("INFO")
    async with opened(name, front.url, limits=SETTLES_SOON) as transport:
        await one_is_open(front, transport)
        await front.down()
        _, error = await said_until(transport, request(TEXT))
        assert isinstance(error, TransportError)
        assert "cannot reach" in str(error)
        assert not transport.is_warm
        await asyncio.sleep(0.4)
        await front.up()
        await one_is_open(front, transport)
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert len(caplog.messages) <= 1


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_reopens_after_each_closing_answer(name):
    class Closing(LightningServer):
        async def _post(self, transport, asked):
            reply = await super()._post(transport, asked)
            reply.force_close()
            return reply

    async with Closing() as server, Front(server.url) as front, opened(name, front.url) as transport:
        for number in range(4):
            await front.until(lambda number=number: len(front.passages) == number + 1)
            await one_is_open(front, transport)
            assert await said(transport, f"d90z {number}.") == server.expected(f"d90z {number}.")
            assert passage_of(front, server.requests[-1]).number == number
        await asyncio.sleep(0.8)
        assert len(front.passages) == 5


@pytest.mark.parametrize("name", KINDS)
async def test_backs_off_if_connections_close_at_once(front, name):
    front.shuts_at_once = True
    async with opened(name, front.url) as transport:
        await asyncio.sleep(1.6)
        assert 2 <= len(front.passages) <= 6  # aiohttp itself makes two of one that fails in an upgrade
        assert not transport.is_warm


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_status_408_on_idle_connection_is_no_failure(server, name):
    async with opened(name, server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(status=408, headers={"Connection": "close"}), on=name)
        assert await said(transport, TEXT) == server.expected(TEXT)
        server.plan(Fault(status=408), on=name, times=2)
        _, error = await said_until(transport, request(TEXT))
    assert "408" in str(error)


async def test_idle_error_frame_on_request_is_no_failure(server):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(status=200, body=IDLENESS), on="websocket")
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert len(server.requests) == 3


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("name", KINDS)
async def test_request_racing_with_idle_close_is_exact(server, front, name, turns):
    server.setup = 0.1
    async with opened(name, front.url, limits=SETTLES_SOON) as transport:
        for end in (lambda passage: passage.writer.close(), lambda passage: passage.writer.transport.abort()):
            await one_is_open(front, transport)
            speaking = asyncio.create_task(said(transport, TEXT))
            for _ in range(turns):
                await asyncio.sleep(0)
            end(front.open[0])
            assert await speaking == server.expected(TEXT)


async def test_websocket_does_not_take_http_connection(server, front):
    async with opened_together(front.url, "http", "websocket") as transports:
        for transport in transports.values():
            await warm(transport)
        for _ in range(3):
            await server.drop_lines(1000)
            await asyncio.sleep(0.1)
            await front.until(lambda: len(front.ready) == 2)
            await warm(transports["websocket"])
        assert await said(transports["http"], TEXT) == server.expected(TEXT)
        assert passage_of(front, server.requests[0]).number < 2


async def test_http_transports_share_connection(server, front):
    async with opened_together(front.url, "http", "http_stream") as both:
        await one_is_open(front, both["http"])
        for transport in (*both.values(), *both.values()):
            assert await said(transport, TEXT) == server.expected(TEXT)
        assert len(front.passages) == 1


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_overlapping_http_connections_are_kept(server, front, name):
    server.pace = 20
    async with opened(name, front.url, concurrency=2) as transport:
        await one_is_open(front, transport)
        for _ in range(3):
            texts = [f"d{300 + 100 * number}z Number {number}." for number in range(2)]
            heard = await asyncio.gather(*(said(transport, text) for text in texts))
            assert heard == [server.expected(text) for text in texts]
        assert len(front.passages) == 2
        front.drop()
        await front.until(lambda: len(front.passages) == 3 and len(front.open) == 1)


async def test_overlapping_websockets_leave_one(server, front):
    server.pace = 20
    async with opened("websocket", front.url, concurrency=2) as transport:
        texts = [f"d{300 + 100 * number}z Number {number}." for number in range(2)]
        heard = await asyncio.gather(*(said(transport, text) for text in texts))
        assert heard == [server.expected(text) for text in texts]
        await front.until(lambda: len(front.open) == 1)
        assert transport.is_warm


@pytest.mark.parametrize("name", KINDS)
async def test_not_warm_while_in_use(server, front, name):
    server.setup = 0.3
    async with opened(name, front.url, limits=SETTLES_SOON) as transport:
        await one_is_open(front, transport)
        speaking = asyncio.create_task(said(transport, TEXT))
        await server.until(lambda: bool(server.requests))
        assert not transport.is_warm
        await speaking
        await one_is_open(front, transport)


@pytest.mark.parametrize("name", KINDS)
async def test_exit_leaves_nothing_open(server, front, name):
    async with opened(name, front.url, limits=SETTLES_SOON) as transport:
        await one_is_open(front, transport)
        await said(transport, "d90z One.")
        await one_is_open(front, transport)
    await front.until(lambda: not front.open)
    gc.collect()  # would raise what was left unclosed


@pytest.mark.parametrize("name", KINDS)
async def test_opens_nothing_before_ready(front, name):
    async with opened_together(front.url, name, ready=False) as transports:
        await asyncio.sleep(0.2)
        assert front.passages == []
        transports[name].context.ready.set()
        await one_is_open(front, transports[name])


LIGHT = """
import asyncio, sys
from types import SimpleNamespace
from edgevoice_plugins.lightning.http import HttpTransport
from edgevoice_plugins.lightning.options import LightningOptions
from edgevoice_plugins.lightning.http_stream import HttpStreamTransport
from edgevoice_plugins.lightning.websocket import WebSocketTransport

async def main():
    for kind in (HttpTransport, HttpStreamTransport, WebSocketTransport):
        async with kind(SimpleNamespace(ready=asyncio.Event(), http_session=None), kind.options()) as transport:
            await asyncio.sleep(0.01)
            assert not transport.is_warm
    assert "aiohttp" not in sys.modules

asyncio.run(main())
"""


async def test_entering_imports_nothing_heavy():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LIGHT)
    assert await process.wait() == 0


@pytest.mark.parametrize("name", KINDS)
async def test_failed_import_is_logged(front, name, monkeypatch, caplog):
    monkeypatch.setattr(KINDS[name], "heavy_module", "edgevoice_plugins.lightning.no_such_module")
    async with opened_together(front.url, name):
        async with asyncio.timeout(5):
            while "no_such_module" not in caplog.text:
                await asyncio.sleep(0.01)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def learned(*closes_s, now=1000.0):
    limit = IdleLimit()
    for idle_s in closes_s:
        limit.closed_after(idle_s, now)
    return limit


def test_idle_limit_is_unknown_after_one_close():
    assert learned().renewal_s(1000) is None
    assert learned(60.0).renewal_s(1000) is None


def test_idle_limit_is_the_shorter_of_two_similar_times():
    assert learned(60.2, 60.0).renewal_s(1000) == pytest.approx(48)
    assert learned(5.0, 5.1).renewal_s(1000) == pytest.approx(4)


@pytest.mark.parametrize("other", [4.0, 40.0, 75.0])
def test_idle_limit_is_unknown_after_different_times(other):
    assert learned(60.0, other).renewal_s(1000) is None


def test_idle_limit_survives_a_close_by_chance():
    assert learned(60.0, 60.0, 12.0).renewal_s(1000) == pytest.approx(48)
    assert learned(60.0, 12.0, 60.0, 60.0).renewal_s(1000) == pytest.approx(48)


def test_idle_limit_is_forgotten_after_an_hour():
    limit = learned(60.0, 60.0)
    assert limit.renewal_s(1000 + 3599) is not None
    assert limit.renewal_s(1000 + 3601) is None
