"""Connections that are open before they are needed, over each transport, before a server that closes idle ones."""

import asyncio
import gc
import itertools
import math
import socket
import sys

import pytest

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.connections import IdleConnection
from tests.support.front import Front
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import KINDS, opened, opened_together, request, said, said_until

TEXT = "d700z The first sentence. d1300z And the second one."
IDLENESS = b'{"status":"error","message":"Connection timed out after 60 seconds of inactivity"}'


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


@pytest.fixture
async def front(server, monkeypatch):
    monkeypatch.setattr("edgevoice_plugins.lightning.spares.LASTING", 0.1)
    async with Front(server.url) as front:
        yield front


async def warm(front, transport):
    """One connection is open, and the transport knows."""
    await front.until(lambda: len(front.open) == 1)
    async with asyncio.timeout(10):
        while not transport.is_warm:
            await asyncio.sleep(0.01)


def passage_of(front, asked):
    return next(passage for passage in front.passages if passage.port == asked.peer)


@pytest.mark.parametrize("name", KINDS)
async def test_a_connection_is_open_before_anything_is_asked(server, front, name):
    async with opened(name, front.url) as transport:
        assert not transport.is_warm
        await warm(front, transport)
        assert server.requests == []
        assert await said(transport, TEXT) == server.expected(TEXT)
        assert passage_of(front, server.requests[0]).number == 0
        await warm(front, transport)
        assert len(front.passages) == 1


@pytest.mark.parametrize("name", KINDS)
async def test_after_idle_ends_the_next_message_is_unharmed_and_needs_no_new_connection(server, front, name):
    async with opened(name, front.url) as transport:
        for number in range(3):
            front.idle_limit = 0.3 + 0.4 * number  # no two alike, so that it is never known
            over = front.given_up
            await front.until(lambda over=over: front.given_up > over)
            front.idle_limit = math.inf
            await warm(front, transport)
            opened_before = len(front.passages)
            assert await said(transport, TEXT) == server.expected(TEXT)
            assert len(server.requests) == number + 1
            assert passage_of(front, server.requests[-1]).number < opened_before


@pytest.mark.parametrize("name", KINDS)
async def test_once_the_limit_is_known_a_connection_is_replaced_before_it_ends(server, front, name):
    front.idle_limit = 1.5
    async with opened(name, front.url) as transport:
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
async def test_a_server_that_was_down_is_warm_again(server, front, name, monkeypatch, caplog):
    monkeypatch.setattr("edgevoice_plugins.lightning.backoff.FIRST_DELAY", 0.05)
    caplog.set_level("INFO")
    async with opened(name, front.url) as transport:
        await warm(front, transport)
        await front.down()
        _, error = await said_until(transport, request(TEXT))
        assert isinstance(error, TransportError)
        assert "cannot reach" in str(error)
        assert not transport.is_warm
        await asyncio.sleep(0.4)
        await front.up()
        await warm(front, transport)
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert len(caplog.messages) <= 1


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_a_server_that_closes_after_each_answer_gets_one_new_connection_for_each(name):
    class Closing(LightningServer):
        async def _post(self, transport, asked):
            reply = await super()._post(transport, asked)
            reply.force_close()
            return reply

    async with Closing() as server, Front(server.url) as front, opened(name, front.url) as transport:
        for number in range(4):
            await front.until(lambda number=number: len(front.passages) == number + 1)
            await warm(front, transport)
            assert await said(transport, f"d90z {number}.") == server.expected(f"d90z {number}.")
            assert passage_of(front, server.requests[-1]).number == number
        await asyncio.sleep(0.8)
        assert len(front.passages) == 5


@pytest.mark.parametrize("name", KINDS)
async def test_a_server_that_closes_connections_at_once_is_met_with_fewer_and_fewer(front, name, monkeypatch):
    monkeypatch.setattr("edgevoice_plugins.lightning.spares.LASTING", 3.0)
    front.shuts_at_once = True
    async with opened(name, front.url) as transport:
        await asyncio.sleep(1.6)
        assert 2 <= len(front.passages) <= 6  # aiohttp itself makes two of one that fails in an upgrade
        assert not transport.is_warm


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_a_connection_given_up_as_the_request_comes_is_no_failure(server, name):
    async with opened(name, server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(status=408, headers={"Connection": "close"}), on=name)
        assert await said(transport, TEXT) == server.expected(TEXT)
        server.plan(Fault(status=408), on=name, times=2)
        _, error = await said_until(transport, request(TEXT))
    assert "408" in str(error)


async def test_a_line_given_up_as_the_request_comes_is_no_failure(server):
    async with opened("websocket", server.url) as transport:
        await said(transport, "d90z One.")
        server.plan(Fault(status=200, body=IDLENESS), on="websocket")
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert len(server.requests) == 3


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("name", KINDS)
async def test_a_message_that_meets_the_end_of_an_idle_connection_comes_whole(server, front, name, turns):
    server.setup = 0.1
    async with opened(name, front.url) as transport:
        for end in (lambda passage: passage.writer.close(), lambda passage: passage.writer.transport.abort()):
            await warm(front, transport)
            speaking = asyncio.create_task(said(transport, TEXT))
            for _ in range(turns):
                await asyncio.sleep(0)
            end(front.open[0])
            assert await speaking == server.expected(TEXT)


async def test_the_http_transports_share_one_connection(server, front):
    async with opened_together(front.url, "http", "http_stream") as both:
        await front.until(lambda: len(front.passages) == 1)
        for transport in (*both.values(), *both.values()):
            assert await said(transport, TEXT) == server.expected(TEXT)
        assert len(front.passages) == 1


@pytest.mark.parametrize("name", KINDS)
async def test_as_many_as_may_be_in_use_are_kept_and_no_more(server, front, name):
    server.pace = 20
    async with opened(name, front.url, concurrency=2) as transport:
        for _ in range(3):
            texts = [f"d{300 + 100 * number}z Number {number}." for number in range(2)]
            heard = await asyncio.gather(*(said(transport, text) for text in texts))
            assert heard == [server.expected(text) for text in texts]
        assert len(front.passages) == 2
        front.drop()
        await front.until(lambda: len(front.passages) == 4 and len(front.open) == 2)


@pytest.mark.parametrize("name", KINDS)
async def test_it_is_not_warm_while_the_one_connection_is_in_use(server, front, name):
    server.setup = 0.3
    async with opened(name, front.url) as transport:
        await warm(front, transport)
        speaking = asyncio.create_task(said(transport, TEXT))
        await server.until(lambda: bool(server.requests))
        assert not transport.is_warm
        await speaking
        await warm(front, transport)


@pytest.mark.parametrize("name", KINDS)
async def test_nothing_stays_open_behind(server, front, name):
    async with opened(name, front.url) as transport:
        await said(transport, "d90z One.")
        await warm(front, transport)
    await front.until(lambda: not front.open)
    gc.collect()  # would raise what was left unclosed


@pytest.mark.parametrize("name", KINDS)
async def test_nothing_is_opened_before_all_is_ready(front, name):
    async with opened_together(front.url, name, ready=False) as transports:
        await asyncio.sleep(0.2)
        assert front.passages == []
        transports[name].context.ready.set()
        await warm(front, transports[name])


async def test_a_peer_that_is_silent_is_probed(server):
    async with opened("http", server.url) as transport:
        await said(transport, "d90z One.")
        connections = transport.spares._idle
        async with asyncio.timeout(5):
            while not connections:
                await asyncio.sleep(0.01)
        idle = next(iter(connections))
        opened_socket = idle._connection.transport.get_extra_info("socket")
        assert opened_socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert opened_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 25
        assert opened_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


LIGHT = """
import asyncio, sys
from types import SimpleNamespace
from edgevoice_plugins.lightning.http import HttpTransport
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


async def test_entering_a_transport_imports_nothing_heavy():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LIGHT)
    assert await process.wait() == 0


@pytest.mark.parametrize("name", ["http", "http_stream"])
async def test_a_connection_that_carries_many_requests_remembers_none_of_them(server, front, name):
    async with opened(name, front.url) as transport:
        for _ in range(10):
            assert await said(transport, "d50z Again.") == server.expected("d50z Again.")
        gc.collect()
        assert sum(isinstance(found, IdleConnection) for found in gc.get_objects()) <= 2
        assert len(front.passages) == 1
