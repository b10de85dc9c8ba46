"""`use: auto` in a running daemon: it measures, turns to what is quicker, says so in numbers, and knows it after a restart."""

from __future__ import annotations

import asyncio
import re

from edgevoice.control import query
from tests.support.house import House
from tests.support.lightning import Fault

SHORT = "d100z A short one."
AUTO = [{"use": "auto"}]
SLOW = 0.25


def house_of(broker, lightning):
    lightning.setup = 0.03
    return House(broker, lightning={"base_url": lightning.url}, routes=AUTO, cache={"enabled": False})


async def settled(house):
    """The outcome of the first announcement that goes by what was measured, and by nothing else."""
    async with asyncio.timeout(30):
        while True:
            outcome = await house.said(SHORT)
            if outcome["why"].startswith(f"auto: {outcome['transport']} ") and "tried" not in outcome["why"]:
                return outcome


async def test_auto_prefers_the_faster_transport_and_says_why(broker, lightning):
    async with house_of(broker, lightning) as house:
        first = await house.said(SHORT)
        assert first["why"].startswith(
            "auto: knows too little yet (requests: http 0, http_stream 0, websocket 0)"
        )
        assert first["why"].endswith("by the rules: up to 140 characters")
        outcome = await settled(house)
        assert re.fullmatch(
            rf"auto: (\w+ \d+ ms(, )?){{3}} \(warm, {len(SHORT)} characters\)", outcome["why"]
        )
        quickest = outcome["transport"]
        lightning.plan(Fault(at=-1, stall=SLOW), on=quickest, times=1000)
        # On what is urgent nothing is tried.
        for _ in range(5):
            last = await house.said(SHORT, urgency="high")
        assert last["transport"] != quickest
        assert last["why"].startswith(f"auto: {last['transport']} ")
        assert house.heard().endswith(lightning.expected(SHORT))


async def test_measured_latency_survives_a_restart(broker, lightning):
    async with house_of(broker, lightning) as house:
        await settled(house)
        await house.leave()
        await house.again()
        question = {"text": SHORT, "target": "kitchen", "urgency": "high"}
        answer = await asyncio.to_thread(lambda: query(house.folder, ask="explain", **question))
        assert answer["why"].startswith("auto: ")
        assert " ms" in answer["why"]
        assert answer["transports"][-1] == "local"
        after = await house.said(SHORT, urgency="high")
        assert "knows too little" not in after["why"]


async def test_failing_transport_is_no_longer_first(broker, lightning):
    async with house_of(broker, lightning) as house:
        bad = (await settled(house))["transport"]
        lightning.plan(Fault(status=500, body=b"{}"), on=bad, times=1000)
        outcomes = [await house.said(SHORT, urgency="high") for _ in range(4)]
        assert all(outcome["event_type"] == "finished" for outcome in outcomes)
        assert [attempt["transport"] for attempt in outcomes[0]["attempts"]] == [bad]
        assert [outcome["attempts"] for outcome in outcomes[1:]] == [[], [], []]


async def test_auto_keeps_the_rules_for_live_and_private_text(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.client.publish("edgevoice/kitchen/stream/live", "d200z Some text. ")
        await house.client.publish("edgevoice/kitchen/stream/live", "")
        live = await house.outcome("live")
        assert (live["transport"], live["why"]) == ("websocket", "auto: the text is live")
        private = await house.said("Nobody else.", private=True)
        assert private["transport"] == "local"
