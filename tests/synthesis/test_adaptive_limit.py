"""How many requests at once the account allows is learned from its refusals, and tried again after an hour."""

import asyncio
import contextlib
import random

import pytest

from edgevoice import Urgency
from edgevoice.errors import TooManyRequests
from edgevoice.synthesis.concurrency import (
    LONGEST_REST,
    RELEARN,
    AdaptiveLimit,
    ConcurrencyLimiter,
    Preempted,
)
from tests.support.asker import Asker

NORMAL, CRITICAL = Urgency.NORMAL, Urgency.CRITICAL


class Server:
    """Refuses what is more than it allows, a little later, as one does."""

    def __init__(self, allows, retry_after=None):
        self.allows, self.retry_after = allows, retry_after
        self.in_flight = self.refused = self.most = 0

    async def ask(self, gate, asker, dice=None):
        """Ask as synthesis does, until it is answered."""
        answered = False
        while not answered:
            with contextlib.suppress(Preempted):
                async with gate.acquire(asker, "http"):
                    await self._answer(dice)
                answered = True

    async def _answer(self, dice):
        refuses = self.in_flight >= self.allows
        self.in_flight += not refuses
        try:
            for _ in range(dice.randint(1, 6) if dice else 3):
                await asyncio.sleep(0)
            if refuses:
                self.refused += 1
                raise TooManyRequests("refused: 429", self.retry_after)
            self.most = max(self.most, self.in_flight)
        finally:
            self.in_flight -= not refuses


@pytest.mark.parametrize("allows", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(10))
async def test_the_limit_is_learned_from_the_first_refusals_and_then_there_are_none(seed, allows):
    dice, told = random.Random(seed), []
    gate, server = ConcurrencyLimiter(4, told.append, section="lightning"), Server(allows)
    await asyncio.gather(*(server.ask(gate, Asker(NORMAL), dice) for _ in range(6)))
    learned, server.most = server.refused, 0
    assert learned <= 4 - allows
    await asyncio.gather(*(server.ask(gate, Asker(NORMAL), dice) for _ in range(20)))
    assert (server.refused, server.most) == (learned, allows)
    allowed = "1 request" if allows == 1 else f"{allows} requests"
    last = f"it is 4, but the account allows {allowed} at once; set lightning: {{concurrency: {allows}}}"
    assert told[-1:] == ([last] if allows < 4 else [])


async def test_a_refusal_with_nothing_else_in_flight_is_for_the_one_who_asked():
    told = []
    gate, server = ConcurrencyLimiter(3, told.append), Server(0)
    for _ in range(2):
        with pytest.raises(TooManyRequests, match="429"):
            await server.ask(gate, Asker(NORMAL))
    assert (server.refused, told) == (2, [])


async def test_a_transport_whose_server_wants_to_be_left_alone_is_not_asked():
    gate, server = ConcurrencyLimiter(3), Server(0, retry_after=20.0)
    with pytest.raises(TooManyRequests, match="429"):
        await server.ask(gate, Asker(NORMAL))
    with pytest.raises(TooManyRequests, match="not asked: the server wants to be left alone for 20 s more"):
        await server.ask(gate, Asker(CRITICAL))
    assert server.refused == 1
    async with gate.acquire(Asker(NORMAL), "websocket"):
        pass


def test_after_an_hour_without_a_refusal_one_more_is_tried_until_the_fault_is_gone():
    told = []
    allowance = AdaptiveLimit(3, told.append)
    allowance.on_rejected(1, now=1000.0)
    moments = [1000.0 + RELEARN * hours for hours in (0.5, 1, 1.5, 2, 2.5)]
    assert [allowance.places(now) for now in moments] == [1, 2, 2, 3, 3]
    assert told[-1] is not None
    allowance.on_rejected(2, now=1000.0 + RELEARN * 2.9)
    assert allowance.places(1000.0 + RELEARN * 3.5) == 2
    assert [allowance.places(1000.0 + RELEARN * hours) for hours in (4, 5)] == [3, 3]
    assert told[-1] is None


def test_a_transport_is_left_alone_for_no_longer_than_is_bearable():
    allowance = AdaptiveLimit(1, lambda _: None)
    allowance.back_off("http", 86_400.0, now=0.0)
    with pytest.raises(TooManyRequests):
        allowance.raise_if_backing_off("http", LONGEST_REST - 1)
    allowance.raise_if_backing_off("http", LONGEST_REST)
