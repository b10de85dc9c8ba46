"""Sound starts while the rest is being made, on the transports that promise it."""

from __future__ import annotations

import pytest

from tests.support.house import House

LONG = "d20000z A message of twenty seconds."


@pytest.mark.parametrize(
    ("transport", "streams"), [("http_stream", True), ("websocket", True), ("http", False)]
)
async def test_long_text_plays_during_synthesis(transport, streams, broker, lightning):
    lightning.pace = 2.0
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.say(LONG, id="long", transport=transport)
        started = await house.step("long", "started")
        made = lightning.requests[0].made / len(lightning.expected(LONG))
        if streams:
            assert made < 0.1
        else:
            assert made == 1
        await house.outcome("long")
        assert started["ms"]["first_sound"] >= started["ms"]["first_audio"]
        assert house.heard() == lightning.expected(LONG)


async def test_live_text_plays_while_it_arrives(broker, lightning):
    first, second = "d400z The first sentence.", " d300z The second one."
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.client.publish("edgevoice/kitchen/stream/live-1", first)
        await house.step("live-1", "started")
        await house.client.publish("edgevoice/kitchen/stream/live-1", second)
        await house.client.publish("edgevoice/kitchen/stream/live-1", b"")
        outcome = await house.outcome("live-1")
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "websocket")
        assert outcome["why"] == "the text is live"
        assert house.heard() == lightning.expected(first + second)
