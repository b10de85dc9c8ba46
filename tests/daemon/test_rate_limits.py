"""Storms: what is too much becomes one sentence, and the critical still gets through."""

from __future__ import annotations

import asyncio

from edgevoice.control import query
from tests.support.house import House


def limits(**given):
    return {"per_topic": False, "total": False, "critical": False, **given}


async def test_suppressed_announcements_are_told_in_one_sentence(broker, lightning, monkeypatch):
    monkeypatch.setattr("edgevoice.intake.rate_limit.CALM_S", 0.5)
    rate = {"per_minute": 20, "burst": 3}
    async with House(broker, lightning={"base_url": lightning.url}, limits=limits(per_topic=rate)) as house:
        for number in range(10):
            await house.say(f"d20z Number {number}.", id=f"n{number}")
        outcomes = [await house.outcome(f"n{number}") for number in range(10)]
        ended = [(outcome["event_type"], outcome["reason"]) for outcome in outcomes]
        assert ended == [("finished", None)] * 3 + [("suppressed", "rate")] * 7
        await lightning.until(lambda: any("more messages" in request.text for request in lightning.requests))
        [sentence] = [request.text for request in lightning.requests if "more messages" in request.text]
        assert sentence == "7 more messages for kitchen were skipped."


async def test_rate_limit_of_a_topic_spares_other_topics(broker, lightning):
    rate = {"per_minute": 1, "burst": 1}
    speakers = {"kitchen": {}, "attic": {}}
    async with House(
        broker, speakers=speakers, lightning={"base_url": lightning.url}, limits=limits(per_topic=rate)
    ) as house:
        assert (await house.said("d20z One."))["event_type"] == "finished"
        assert (await house.said("d20z Two."))["event_type"] == "suppressed"
        assert (await house.said("d20z Three.", to="attic"))["event_type"] == "finished"


async def test_total_rate_limits_all_topics(broker, lightning):
    rate = {"per_minute": 1, "burst": 2}
    speakers = {"kitchen": {}, "attic": {}}
    async with House(
        broker, speakers=speakers, lightning={"base_url": lightning.url}, limits=limits(total=rate)
    ) as house:
        ended = [
            (await house.said(f"d20z {name} {number}.", to=name))["event_type"]
            for number in range(2)
            for name in speakers
        ]
        assert ended == ["finished", "finished", "suppressed", "suppressed"]


async def test_critical_is_not_suppressed_below_60_a_minute(broker, lightning):
    rates = limits(total={"per_minute": 1, "burst": 1}, critical={"per_minute": 1, "burst": 1})
    async with House(broker, lightning={"base_url": lightning.url}, limits=rates) as house:
        await house.said("d20z Normal.")
        for number in range(70):
            await house.say("d20z Water.", id=f"n{number}", urgency="critical")
        await house.say("d20z Smoke.", id="smoke", urgency="critical")
        ended = [(await house.outcome(f"n{number}"))["event_type"] for number in range(70)]
        assert set(ended[:60]) <= {"finished", "replaced"}
        assert (await house.outcome("smoke"))["event_type"] == "finished"


async def test_chattering_sensor_suppresses_no_other_alarm(broker, lightning):
    """With the limits as they are by default."""
    async with House(broker, pace=True, lightning={"base_url": lightning.url}, limits={}) as house:
        for number in range(30):
            await house.say("d600z Water in the cellar.", id=f"n{number}", urgency="critical", tag="water")
            await asyncio.sleep(0.1)
        await house.say("d100z Smoke.", id="smoke", urgency="critical", tag="smoke")
        assert (await house.outcome("smoke"))["event_type"] == "finished"
        outcomes = [(await house.outcome(f"n{number}"))["event_type"] for number in range(30)]
        assert "suppressed" not in outcomes


async def test_low_messages_suppress_no_high_message(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}, limits={}) as house:
        for number in range(6):
            await house.say(f"d20z Low {number}.", id=f"n{number}", urgency="low")
        assert (await house.said("d20z High.", urgency="high"))["event_type"] == "finished"


async def test_repeats_of_a_playing_alarm_are_coalesced(broker, lightning):
    alarm = "d1200z Water in the cellar."
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        for number in range(8):
            await house.say(alarm, id=f"n{number}", urgency="critical")
            await asyncio.sleep(0.2)
        text = [(await house.outcome(f"n{number}"))["event_type"] for number in range(8)]
        assert text[0] == "finished"
        assert text[1:5] == ["replaced"] * 4
        assert house.steps("n0") == ["queued", "started", "finished"]
        assert lightning.expected(alarm)[480:] in house.heard()


async def test_explain_reports_the_rate_limit_and_counts_nothing(broker, lightning):
    rate = {"per_minute": 1, "burst": 2}
    async with House(broker, lightning={"base_url": lightning.url}, limits=limits(per_topic=rate)) as house:
        question = {"ask": "explain", "text": "Hello.", "target": "kitchen", "urgency": None}
        for number, wanted in enumerate(("accepted", "accepted", "suppressed")):
            for _ in range(3):
                answer = await asyncio.to_thread(query, house.folder, **question)
                assert answer["intake"].startswith(wanted)
            await house.said(f"d20z Number {number}.")
        critical = await asyncio.to_thread(query, house.folder, **{**question, "urgency": "critical"})
        assert critical["intake"] == "accepted"
