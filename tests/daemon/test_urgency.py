"""Urgency in the whole daemon: what is heard when the more urgent, a switch, or an acknowledgement comes."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edgevoice.audio.gain import RAMP_S
from edgevoice.playback import player
from edgevoice.synthesis import segments
from tests.support.bursts import check, heard_in, text_of
from tests.support.house import House

RATE = 24_000


def paced(broker, lightning, **more):
    return House(broker, pace=True, lightning={"base_url": lightning.url}, **more)


async def test_high_interrupts_at_the_next_pause(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say(text_of(range(3)), id="long")
        await house.step("long", "started")
        await asyncio.sleep(0.4)
        await house.say(text_of(range(10, 11)), id="high", urgency="high")
        await house.outcome("long")
        heard = heard_in(house.heard())
    assert [burst.number for burst in heard] == [0, 10, 1, 2]
    assert all(burst.is_whole for burst in heard)


async def test_high_interrupts_after_2_s_without_a_pause(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say("d6000z No pause in here.", id="long")
        await house.step("long", "started")
        await house.said("d200z Excuse me.", urgency="high")
        await house.outcome("long")
        heard, text = house.heard(), lightning.expected("d6000z No pause in here.")
        other = lightning.expected("d200z Excuse me.")
        cut = heard.index(other)
        assert 1.9 < cut / 2 / RATE < 3.0
        assert text.startswith(heard[:cut])
        assert text.endswith(heard[cut + len(other) :])
        # It went back, by 1.5 s at most.
        assert 0.07 < (len(heard) - len(other) - len(text)) / 2 / RATE <= 1.5


async def test_critical_fades_in_over_5_ms(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.said("d200z Fire.", urgency="critical")
        heard = np.frombuffer(house.heard(), "<i2").astype(int)
        text = np.frombuffer(lightning.expected("d200z Fire."), "<i2").astype(int)
        span = round(RAMP_S * RATE)
        assert (np.abs(heard[:span] - text[:span] * np.arange(span) / span) <= 1).all()
        assert (heard[span:] == text[span:]).all()


async def test_do_not_disturb_holds_the_playing_announcement(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say("d3000z Long.", id="long")
        await house.step("long", "started")
        await house.client.publish("edgevoice/kitchen/dnd/set", "ON")
        await house.step("long", "held")
        await house.say("d200z Later.", id="later", urgency="high")
        await house.step("later", "held")
        await house.client.publish("edgevoice/kitchen/digest", "PRESS")
        for name in ("long", "later"):
            outcome = await house.outcome(name)
            assert (outcome["event_type"], outcome["reason"]) == ("finished", "digest")
        assert house.steps("long") == ["queued", "started", "interrupted", "held", "finished"]
        read = [request.text for request in lightning.requests][-1]
        assert read.startswith("2 announcements were held.")


async def test_alert_repeats_until_acknowledged(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say("d200z Leak.", id="leak", urgency="high", repeat={"until_ack": True, "every": 5})
        await house.events.wait(lambda message: message.json.get("round") == 2)
        await house.said("d100z Something else.", urgency="low")
        await house.client.publish("edgevoice/kitchen/ack", "")
        outcome = await house.outcome("leak")
        assert (outcome["event_type"], outcome["reason"]) == ("finished", "acknowledged")
        assert house.steps("leak") == ["queued", "started", "started", "finished"]
        leak = lightning.expected("d200z Leak.")
        assert house.heard() == leak + leak + lightning.expected("d100z Something else.")
        assert len([request for request in lightning.requests if request.text == "d200z Leak."]) == 1


async def test_interrupted_live_text_resumes(broker, lightning, monkeypatch):
    monkeypatch.setattr(segments, "LIVE_IDLE_S", 0.3)
    monkeypatch.setattr(player, "LIVE_IDLE_S", 0.3)
    topic = "edgevoice/kitchen/stream/live"
    async with paced(broker, lightning) as house:
        await house.client.publish(topic, "k0z. k1z. ")
        await house.step("live", "started")
        await house.said(text_of(range(10, 11)), id="other")
        await house.client.publish(topic, "k2z. k3z.")
        await house.step("live", "resumed")
        await asyncio.sleep(0.5)
        await house.say(text_of(range(20, 21)), id="alarm", urgency="critical")
        await house.client.publish(topic, " k4z.")
        await house.client.publish(topic, b"")
        assert (await house.outcome("live"))["event_type"] == "finished"
        heard = heard_in(house.heard())
    check(heard, range(5), cuts=1)
    check(heard, range(10, 11), cuts=0)
    assert [burst.number for burst in heard if burst.number < 2] == [0, 1]


@pytest.mark.parametrize("transport", ["http_stream", "websocket"])
async def test_repeated_interruptions_during_synthesis_lose_nothing(transport, broker, lightning):
    lightning.pace = 1.2
    async with paced(broker, lightning) as house:
        await house.say(text_of(range(4)), id="long", transport=transport)
        await house.step("long", "started")
        for number in range(4):
            await asyncio.sleep(0.9)
            await house.said(f"d100z Alarm {number}.", urgency="critical", id=f"alarm{number}")
        await house.outcome("long", within=60)
        heard = heard_in(house.heard())
    mine = [burst for burst in heard if burst.number < 4]
    assert [burst.number for burst in mine] == sorted(burst.number for burst in mine)
    assert {burst.number for burst in mine if burst.is_whole} == set(range(4))
