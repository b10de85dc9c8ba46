"""The shared HTTP session, before a real server."""

import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web

from edgevoice.http_client import ConnectionCounter, open_session


@pytest.fixture
async def server():
    """The URL of a server, and how to end its connections."""

    async def answer(request):
        if request.path == "/elsewhere":
            raise web.HTTPFound("/")
        reply = web.Response(text="x" * (10_000_000 if request.path == "/long" else 1))
        if request.path == "/once":
            reply.force_close()
        return reply

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", runner
    await runner.cleanup()


@pytest.fixture
async def session():
    async with open_session() as session:
        yield session


async def fetch(session, url):
    async with session.get(url) as reply:
        return await reply.text()


async def until(holds):
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


async def test_counter_follows_a_pooled_connection_to_its_end(server, session):
    url, runner = server
    closed = []
    counter = ConnectionCounter(lambda: closed.append(counter.open))
    with counter.counting():
        for _ in range(3):
            await fetch(session, url)
            assert counter.open == 1
    await runner.cleanup()  # ends the idle connection
    await until(lambda: closed)
    assert closed == [0]


async def test_counter_counts_overlapping_connections(server, session):
    counter = ConnectionCounter(lambda: None)
    with counter.counting():
        await asyncio.gather(fetch(session, server[0]), fetch(session, server[0]))
    assert counter.open == 2


async def test_redirect_is_an_error(server, session):
    with pytest.raises(aiohttp.TooManyRedirects):
        await fetch(session, server[0] + "/elsewhere")


async def test_counter_is_zero_after_a_connection_that_is_not_kept(server, session):
    counter = ConnectionCounter(lambda: None)
    with counter.counting():
        await fetch(session, server[0] + "/once")
    await until(lambda: not counter.open)


async def test_counter_is_zero_where_no_connection_was_opened(session):
    counter = ConnectionCounter(lambda: None)
    with counter.counting(), pytest.raises(aiohttp.ClientConnectorError):
        await fetch(session, "http://127.0.0.1:1")
    assert counter.open == 0


async def test_counter_ignores_connections_of_other_requests(server, session):
    counter = ConnectionCounter(lambda: None)
    with counter.counting():
        pass
    await fetch(session, server[0])
    assert counter.open == 0


async def test_silent_peers_are_probed(server, session):
    async with session.get(server[0] + "/long") as reply:
        assert reply.connection is not None
        connected = reply.connection.transport.get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 25
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
