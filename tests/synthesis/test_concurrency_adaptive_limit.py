"""How many requests at once the account allows is learned from its refusals, and restored after ten minutes."""

import asyncio
import contextlib
import random

import pytest

from edgevoice import Urgency
from edgevoice.errors import TooManyRequests
from edgevoice.synthesis.concurrency import (
    MAX_RETRY_AFTER_S,
    RESTORE_S,
    AdaptiveLimit,
    ConcurrencyLimiter,
    Preempted,
)
from tests.support.requester import Requester

NORMAL, CRITICAL = Urgency.NORMAL, Urgency.CRITICAL


class Server:
    """Refuses what is more than it allows, a little later, as one does."""

    def __init__(self, allows, retry_after=None):
        self.allows, self.retry_after = allows, retry_after
        self.in_flight = self.refused = self.most = 0

    async def ask(self, limiter, requester, dice=None):
        """Ask as synthesis does, until it is answered."""
        answered = False
        while not answered:
            with contextlib.suppress(Preempted):
                async with limiter.acquire(requester, "http"):
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
    limiter, server = ConcurrencyLimiter(4, told.append, section="lightning"), Server(allows)
    await asyncio.gather(*(server.ask(limiter, Requester(NORMAL), dice) for _ in range(6)))
    learned, server.most = server.refused, 0
    assert learned <= 4
    await asyncio.gather(*(server.ask(limiter, Requester(NORMAL), dice) for _ in range(20)))
    assert server.refused == learned
    assert server.most <= allows
    assert not told if allows == 4 else "set lightning: {concurrency: " in told[-1]


async def test_a_refusal_with_nothing_else_in_flight_is_for_the_one_who_asked():
    told = []
    limiter, server = ConcurrencyLimiter(3, told.append), Server(0)
    for _ in range(2):
        with pytest.raises(TooManyRequests, match="429"):
            await server.ask(limiter, Requester(NORMAL))
    assert (server.refused, told) == (2, [])


async def test_a_transport_whose_server_wants_to_be_left_alone_is_not_asked():
    limiter, server = ConcurrencyLimiter(3), Server(0, retry_after=20.0)
    with pytest.raises(TooManyRequests, match="429"):
        await server.ask(limiter, Requester(NORMAL))
    with pytest.raises(TooManyRequests, match="not asked: the server wants to be left alone for 20 s more"):
        await server.ask(limiter, Requester(CRITICAL))
    assert server.refused == 1
    async with limiter.acquire(Requester(NORMAL), "websocket"):
        pass


def test_limit_is_halved_and_restored_after_ten_minutes():
    told = []
    limit = AdaptiveLimit(5, told.append, "lightning")
    limit.on_rejected(5, now=1000.0)
    limit.on_rejected(5, now=1000.0)  # made at the same time as the first
    assert limit.at(1001.0) == 3
    limit.on_rejected(3, now=1100.0)
    assert limit.at(1100.0) == 2
    limit.on_rejected(2, now=1100.0)
    limit.on_rejected(1, now=1100.0)
    assert limit.at(1100.0 + RESTORE_S - 1) == 1
    assert "concurrency: 1" in told[-1]
    assert limit.at(1100.0 + RESTORE_S) == 5
    assert told[-1] is None


def test_retry_after_is_limited():
    limit = AdaptiveLimit(1, lambda _: None, "lightning")
    limit.retry_after("http", 86_400.0, now=0.0)
    with pytest.raises(TooManyRequests):
        limit.check_retry_after("http", MAX_RETRY_AFTER_S - 1)
    limit.check_retry_after("http", MAX_RETRY_AFTER_S)
