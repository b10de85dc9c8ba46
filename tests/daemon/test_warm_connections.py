"""Connections that are open before a message comes, also with a server that closes idle ones."""

import math

import pytest

from tests.support.child import ChildHouse
from tests.support.front import Front
from tests.support.house import House

TEXT = "d400z Dinner is ready."


@pytest.fixture
async def front(lightning):
    async with Front(lightning.url) as front:
        yield front


async def test_idle_close_by_the_server_is_inaudible(broker, lightning, front):
    async with House(broker, lightning={"base_url": front.url}) as house:
        for number, name in enumerate(("http", "http_stream", "websocket")):
            await front.until(lambda: len(front.ready) == 2)
            front.idle_limit = 0.3 + 0.4 * number
            idle = front.open
            await front.until(lambda idle=idle: not any(passage.is_open for passage in idle))
            front.idle_limit = math.inf
            await front.until(lambda: len(front.ready) == 2)  # one for both of HTTP, and a line
            opened_before = len(front.passages)
            outcome = await house.said(TEXT, id=name, transport=name)
            assert outcome["event_type"] == "finished"
            assert outcome["attempts"] == []
            assert len(lightning.requests) == number + 1
            used = next(p for p in front.passages if p.port == lightning.requests[-1].peer)
            assert used.number < opened_before
        assert house.heard() == lightning.expected(TEXT) * 3


async def test_connections_open_before_the_first_message(broker, lightning):
    async with Front(lightning.url) as front, ChildHouse(broker, lightning={"base_url": front.url}) as house:
        await front.until(lambda: len(front.ready) == 2)
        opened_before = len(front.passages)
        for name in ("http", "http_stream", "websocket"):
            assert (await house.said(TEXT, transport=name))["event_type"] == "finished"
        assert {passage.number for passage in front.passages} == set(range(opened_before))
