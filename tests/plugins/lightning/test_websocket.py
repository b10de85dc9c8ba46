"""Live text over the transport `websocket`, against a real server on loopback."""

import asyncio
from contextlib import aclosing

import pytest

from edgevoice.errors import AccountRefused, TransportError
from edgevoice.text.live import LiveText
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import opened, request, said, said_until

ONE, TWO, THREE = "This is the first sentence. ", "And then comes the second one.", " The end."


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


async def given(server, *pieces):
    """Each piece once the one before has arrived at the server."""
    said_before = ""
    for piece in pieces:
        yield piece
        said_before += piece
        if piece.strip():
            await server.until(lambda want=said_before: server.requests and server.requests[-1].text == want)


async def said_live(server, transport, *pieces):
    return b"".join([pcm async for pcm in transport.synthesize(request(text_stream=given(server, *pieces)))])


async def test_stream_is_exact(server):
    async with opened("websocket", server.url) as transport:
        heard = await said_live(server, transport, ONE, TWO, THREE)
    assert heard == server.expected(ONE + TWO + THREE)


async def test_stream_speaks_before_text_ends(server):
    text = LiveText()
    async with opened("websocket", server.url) as transport:
        text.add(ONE)
        async with aclosing(transport.synthesize(request(text_stream=text.chunks(0, 60)))) as speech:
            heard = await anext(speech)
            assert server.requests[0].pieces == [ONE]
            text.add(TWO)
            text.end()
            async for pcm in speech:
                heard += pcm
    assert heard == server.expected(ONE + TWO)
    assert server.requests[0].segments == [ONE, TWO]


async def test_stream_sends_chunks_verbatim_in_one_context(server):
    async with opened("websocket", server.url) as transport:
        await said_live(server, transport, "Hel", "lo ", "there. ", "  ", "\n", "By", "e.")
    (asked,) = server.requests
    assert asked.text == "Hello there.   \nBye."
    assert all(piece.strip() for piece in asked.pieces[:-1])
    assert asked.pieces[-1] == ""
    assert asked.body["continue"] is True
    assert asked.body["context_id"]
    assert 0 <= asked.body["max_buffer_delay_ms"] <= 5000


async def test_stream_has_own_context_and_connection(server):
    async with opened("websocket", server.url) as transport:
        for number in range(3):
            assert await said_live(server, transport, f"{number}.") == server.expected(f"{number}.")
            await server.until(lambda: server.sockets_opened == len(server.requests) + 1)
            await server.until(lambda: len(server.sockets) == 1)
    assert len({asked.body["context_id"] for asked in server.requests}) == 3


async def test_stream_without_sentence_end_is_spoken(server):
    async with opened("websocket", server.url) as transport:
        assert await said_live(server, transport, "no end") == server.expected("no end")


async def test_stream_blank_is_silent(server):
    async with opened("websocket", server.url) as transport:
        assert await said_live(server, transport, " ", "\n") == b""
        assert await said_live(server, transport) == b""
    assert server.requests == []


async def test_stream_waits_for_late_first_segment(server):
    server.setup = 1.0
    async with opened("websocket", server.url, limits={"quiet_if_short_s": 0.2}) as transport:
        assert await said_live(server, transport, ONE) == server.expected(ONE)


async def test_stream_waits_for_late_next_segment(server):
    server.gap = 1.2
    async with opened("websocket", server.url) as transport:
        first, second = "The first of two sentences. ", "And the second of two sentences."
        assert await said_live(server, transport, first, second) == server.expected(first + second)


async def pings(server):
    while True:
        await asyncio.sleep(0.05)
        for socket in list(server.sockets):
            await socket.ping()


async def test_stream_pings_extend_quiet(server):
    server.gap = 1.2
    limits = {"quiet_s": 0.4, "quiet_if_short_s": 0.4, "stall_s": 2.5}
    async with opened("websocket", server.url, limits=limits) as transport:
        pinging = asyncio.create_task(pings(server))
        assert await said_live(server, transport, ONE, TWO) == server.expected(ONE + TWO)
        pinging.cancel()


async def test_stream_endless_pings_do_not_block_end(server):
    async with opened("websocket", server.url, limits={"stall_s": 1.0}) as transport:
        pinging = asyncio.create_task(pings(server))
        assert await said_live(server, transport, ONE, TWO) == server.expected(ONE + TWO)
        pinging.cancel()


async def test_stream_very_late_segment_not_heard_in_next(server):
    server.gap = 0.4
    async with opened("websocket", server.url, limits={"quiet_if_short_s": 0.1}) as transport:
        await said_live(server, transport, "The first of two sentences. ", "And the second of two.")
        server.gap = 0
        for _ in range(3):
            assert await said(transport, "Next.") == server.expected("Next.")


async def test_stream_paused_text_is_spoken(server):
    text = LiveText()
    async with opened("websocket", server.url) as transport:
        text.add("With no end yet")
        async with aclosing(transport.synthesize(request(text_stream=text.chunks(0, 60)))) as speech:
            heard = await anext(speech)
            assert not text.ended
            text.end()
            async for pcm in speech:
                heard += pcm
    assert heard == server.expected("With no end yet")


async def test_stream_closed_early_leaves_nothing(server):
    server.pace = 10
    text = LiveText()
    before = asyncio.all_tasks()
    async with opened("websocket", server.url) as transport:
        text.add("d5000z A long sentence. ")
        async with aclosing(transport.synthesize(request(text_stream=text.chunks(0, 60)))) as speech:
            await anext(speech)
        await server.until(lambda: server.requests[0].cancelled)
        server.pace = float("inf")
        assert await said(transport, "Next.") == server.expected("Next.")
    await server.until(lambda: not server.sockets)
    assert {task for task in asyncio.all_tasks() - before if "lightning" in task.get_name()} == set()


@pytest.mark.parametrize("fault", [Fault(reset=True, at=-1), Fault(close=1001, at=-1), Fault(cut=True)])
async def test_stream_resent_after_dead_connection(server, fault):
    async with opened("websocket", server.url) as transport:
        await said(transport, "One.")
        server.plan(fault, on="websocket")
        assert await said_live(server, transport, ONE, TWO) == server.expected(ONE + TWO)


BREAKS = {
    "cut": Fault(cut=True, at=3),
    "closed": Fault(close=1011, at=3),
    "error frame": Fault(status=500, body=b"oops"),
    "invalid base64": Fault(spoilt=True, at=3),
}


@pytest.mark.parametrize("kind", BREAKS)
async def test_stream_break_keeps_earlier_audio(server, kind):
    async with opened("websocket", server.url) as transport:
        server.plan(BREAKS[kind], on="websocket", times=2)
        heard, error = await said_until(transport, request(text_stream=given(server, ONE, TWO)))
        assert isinstance(error, TransportError)
        assert server.expected(ONE + TWO).startswith(heard)
        assert len(heard) in (0, 3 * 3840)
        server._plan.clear()
        assert await said(transport, "Next.") == server.expected("Next.")


async def test_stream_incomplete_segment_is_error(server):
    server.plan(Fault(silent=True, at=2), on="websocket")
    async with opened("websocket", server.url, limits={"stall_s": 0.2}) as transport:
        heard, error = await said_until(transport, request(text_stream=given(server, ONE)))
    assert heard == server.expected(ONE)[: 2 * 3840]
    assert isinstance(error, TransportError)


async def test_stream_refused_account(server):
    server.plan(Fault(status=402), on="upgrade", times=9)
    async with opened("websocket", server.url) as transport:
        _, error = await said_until(transport, request(text_stream=given(server, ONE)))
    assert isinstance(error, AccountRefused)
