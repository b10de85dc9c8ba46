"""An account that allows fewer requests at once than are configured: learned from its first refusals."""

from __future__ import annotations

import json

import pytest

from tests.support.house import House
from tests.support.lightning_faults import Fault

FAULT = "lightning.concurrency: the account refused 2 requests at once; set lightning: {concurrency: 1}"
NAMES = ("kitchen", "attic", "cellar", "hall")


def house_of(broker, lightning, concurrency=3):
    return House(
        broker,
        speakers={name: {} for name in NAMES},
        lightning={"base_url": lightning.url, "concurrency": concurrency},
    )


async def say_in_parallel(house, count, transport, prefix):
    """Submit this many announcements at once, in turn on each speaker; return their outcomes."""
    for number in range(count):
        to = NAMES[number % len(NAMES)]
        await house.say(f"d200z {prefix} {number}.", to=to, id=f"{prefix}{number}", transport=transport)
    return [await house.outcome(f"{prefix}{number}") for number in range(count)]


@pytest.mark.parametrize("transport", ["http", "http_stream", "websocket"])
async def test_concurrency_limit_is_learned_from_refusals(transport, broker, lightning):
    lightning.concurrency, lightning.setup = 1, 0.1
    async with house_of(broker, lightning) as house:
        states = await house.client.collect("edgevoice/kitchen/state")
        outcomes = await say_in_parallel(house, 4, transport, "first")
        assert [(o["event_type"], o["attempts"]) for o in outcomes] == [("finished", [])] * 4
        assert 1 <= lightning.refused <= 3
        await states.wait(lambda message: message.json["fault"] == FAULT)
        refused, lightning.setup = lightning.refused, 0.02
        outcomes = await say_in_parallel(house, 20, transport, "later")
        assert [(o["event_type"], o["transport"], o["attempts"]) for o in outcomes] == [
            ("finished", transport, [])
        ] * 20
        assert lightning.refused == refused


async def test_account_with_two_slots_gets_two_requests(broker, lightning):
    lightning.concurrency, lightning.setup = 2, 0.1
    async with house_of(broker, lightning) as house:
        await say_in_parallel(house, 4, "http", "first")
        refused = lightning.refused
        lightning.most_in_flight = 0
        await say_in_parallel(house, 12, "http", "later")
        assert (lightning.most_in_flight, lightning.refused) == (2, refused)


async def test_refused_single_request_falls_back(broker, lightning):
    lightning.plan(Fault(at=-1, status=429), on="http")
    async with house_of(broker, lightning) as house:
        outcome = await house.said("d100z Alone.")
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["http"]
        assert outcome["transport"] == "http_stream"


async def test_retry_after_is_honoured(broker, lightning):
    lightning.plan(Fault(at=-1, status=429, headers={"Retry-After": "20"}), on="http")
    async with house_of(broker, lightning) as house:
        for number in range(2):
            outcome = await house.said(f"d100z Number {number}.")
            assert (outcome["event_type"], outcome["transport"]) == ("finished", "http_stream")
        assert "wants to be left alone" in json.dumps(outcome["attempts"])
        assert [request.transport for request in lightning.requests] == [
            "http",
            "http_stream",
            "http_stream",
        ]
