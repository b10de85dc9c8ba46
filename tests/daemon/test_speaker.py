"""The speaker loop: order, interruption, stop, expiry, and exactly one outcome for each."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from tests.support.house import OUTCOMES, House
from tests.support.lightning import Fault
from tests.support.pulse import Pulse

LONG = "d2000z Something long."


def outcomes(house, name):
    return [step for step in house.steps(name) if step in OUTCOMES]


async def test_queue_order(broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d900z First.", id="first", urgency="high")
        await house.step("first", "started")
        for name, urgency in [
            ("low", "low"),
            ("n1", "normal"),
            ("h1", "high"),
            ("n2", "normal"),
            ("h2", "high"),
        ]:
            await house.say(f"d50z {name}.", id=name, urgency=urgency)
        await house.outcome("low")
        texts = ["d900z First.", *(f"d50z {name}." for name in ("h1", "h2", "n1", "n2", "low"))]
        assert house.heard() == b"".join(lightning.expected(text) for text in texts)


def split_around(heard, inner, whole):
    """Return the samples heard before and after `inner`, whose first 5 ms are ramped."""
    ramp = 0.005 * 24000 * 2
    cut = heard.index(inner[int(ramp) :]) - int(ramp)
    before, after = heard[:cut], heard[cut + len(inner) :]
    assert 0 < cut < len(whole)
    assert whole.startswith(before)
    assert whole.endswith(after)
    return before, after


@pytest.mark.parametrize("urgency", ["low", "normal", "high"])
async def test_critical_interrupts_at_once_and_the_other_resumes(urgency, broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say(LONG, id="long", urgency=urgency)
        await house.step("long", "started")
        await asyncio.sleep(0.3)
        alarm = await house.said("d400z Fire.", id="alarm", urgency="critical")
        long = await house.outcome("long")
        assert (alarm["event_type"], long["event_type"]) == ("finished", "finished")
        assert house.steps("long") == ["queued", "started", "interrupted", "resumed", "finished"]
        assert long["spoken_s"] == pytest.approx(2.0)
        heard, text = house.heard(), lightning.expected(LONG)
        # Early on, it begins again: nothing of it is missing.
        before, after = split_around(heard, lightning.expected("d400z Fire."), text)
        assert after == text
        assert 0.2 < len(before) / 48000 < 1.0


async def test_critical_interrupts_on_the_sound_card(broker, lightning, monkeypatch):
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        speakers = {"kitchen": {"output": "sound_card"}}
        async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
            await house.say(LONG, id="long")
            await house.step("long", "started")
            await asyncio.sleep(0.3)
            await house.say("d400z Fire.", id="alarm", urgency="critical")
            await house.outcome("long")
            fire, text = lightning.expected("d400z Fire."), lightning.expected(LONG)
            assert await pulse.hears(text[len(text) // 2 :])
            heard = pulse.without_silence()
        # The ramp takes the very first sample to zero, which is not told from silence.
        cut = heard.index(fire[480:])
        assert text.startswith(heard[: cut - 480])
        assert text.endswith(heard[cut + len(fire) - 480 :])
        assert len(heard[cut + len(fire) - 480 :]) == len(text)


async def test_critical_waits_for_critical(broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d600z Fire.", id="one", urgency="critical")
        await house.step("one", "started")
        await house.said("d100z Flood.", id="two", urgency="critical")
        assert house.steps("one") == ["queued", "started", "finished"]


async def test_critical_gets_the_only_slot(broker, lightning):
    lightning.pace = 1.5
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say(LONG, id="long", transport="http_stream")
        await house.step("long", "started")
        await house.said("d200z Fire.", urgency="critical")
        await house.outcome("long")
        text = lightning.expected(LONG)
        _, after = split_around(house.heard(), lightning.expected("d200z Fire."), text)
        assert after == text
        assert lightning.most_in_flight == 1


@pytest.mark.parametrize("payload", ["", "PRESS"])
async def test_stop_spares_the_queue(payload, broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say(LONG, id="long")
        await house.step("long", "started")
        await house.say("d2000z Fire.", id="alarm", urgency="critical")
        await house.step("alarm", "started")
        await house.say("d100z Waiting.", id="waiting")
        await house.step("waiting", "queued")
        await house.client.publish("edgevoice/kitchen/stop", payload)
        ended = [await house.outcome(name) for name in ("long", "alarm", "waiting")]
        assert [(outcome["event_type"], outcome["reason"]) for outcome in ended] == [
            ("cancelled", "stop"),
            ("cancelled", "stop"),
            ("finished", None),
        ]
        assert 0 < ended[1]["spoken_s"] < 2.0


async def test_stop_all_empties_the_queue(broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        for name in ("one", "two", "three"):
            await house.say(LONG, id=name)
        await house.step("one", "started")
        await house.client.publish("edgevoice/all/stop", "all")
        for name in ("one", "two", "three"):
            assert (await house.outcome(name))["event_type"] == "cancelled"
        await house.said("d50z Next.")


async def test_stop_by_id_or_tag(broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d500z Said.", id="said")
        await house.say(LONG, id="by-id")
        await house.say(LONG, id="tagged", tag="door")
        await house.step("said", "started")
        await house.client.publish("edgevoice/kitchen/stop", "by-id")
        await house.client.publish("edgevoice/kitchen/stop", "door")
        assert (await house.outcome("by-id"))["event_type"] == "cancelled"
        assert (await house.outcome("tagged"))["event_type"] == "cancelled"
        assert (await house.outcome("said"))["event_type"] == "finished"


async def test_late_start_expires(broker, lightning):
    lightning.plan(Fault(at=-1, silent=True), on="http")
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d100z Never made.", id="one", ttl=2, transport="http")
        await house.say("d100z Waits too long.", id="two", ttl=1)
        assert [(await house.outcome(name))["event_type"] for name in ("one", "two")] == [
            "expired",
            "expired",
        ]
        assert [house.steps(name) for name in ("one", "two")] == [["queued", "expired"]] * 2


async def test_message_expiry_limits_the_ttl(broker, lightning):
    lightning.plan(Fault(at=-1, silent=True), on="http")
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        payload = json.dumps({"text": "d100z Old.", "id": "old", "transport": "http", "ttl": 600})
        await house.client.publish("edgevoice/kitchen/say", payload, expiry=1)
        assert (await house.outcome("old"))["event_type"] == "expired"


async def test_not_before_delays_the_start(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.say("d50z Later.", id="later", not_before=1)
        await house.step("later", "queued")
        sooner = await house.said("d50z Sooner.")
        later = await house.outcome("later")
        assert sooner["at"] < later["at"]
        assert later["ms"]["first_sound"] >= 1000


async def test_full_queue_drops_the_least_urgent_oldest(broker, lightning):
    lightning.plan(Fault(at=-1, stall=1.0), on="http")
    async with House(broker, lightning={"base_url": lightning.url}, limits={"queue": 3}) as house:
        await house.say("d50z First.", id="first")
        await lightning.until(lambda: lightning.requests)
        for name, urgency in [
            ("n1", "normal"),
            ("l1", "low"),
            ("l2", "low"),
            ("n2", "normal"),
            ("n3", "normal"),
        ]:
            await house.say(f"d50z {name}.", id=name, urgency=urgency)
        for name in ("l1", "l2"):
            outcome = await house.outcome(name)
            assert (outcome["event_type"], outcome["reason"]) == ("suppressed", "overflow")
        for name in ("first", "n1", "n2", "n3"):
            assert (await house.outcome(name))["event_type"] == "finished"


async def test_volume_of_announcement_wins_with_a_floor_for_critical(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        half = await house.said("d100z Half.", volume=50)
        alarm = await house.said("d100z Alarm.", volume=10, urgency="critical")
        whole = await house.said("d100z Whole.")
        assert [outcome["volume"] for outcome in (half, alarm, whole)] == [50, 70, 100]
        heard = np.frombuffer(house.heard(), "<i2")
        for index, (text, volume) in enumerate([("Half", 0.5), ("Alarm", 0.7), ("Whole", 1)]):
            spoken = np.frombuffer(lightning.expected(f"d100z {text}."), "<i2")
            # The first 5 ms of a critical one are ramped.
            assert np.abs(heard[index * 2400 : (index + 1) * 2400] - spoken * volume)[120:].max() <= 0.5


async def test_outcome_has_every_key(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        outcome = await house.said("d100z Whole.", id="a1", tag="t")
        moments = outcome["ms"]
        assert set(outcome) == {
            *(
                "event_type",
                "id",
                "speaker",
                "target",
                "at",
                "urgency",
                "tag",
                "reason",
                "repeated",
                "warnings",
            ),
            *("transport", "why", "cached", "attempts", "ms", "spoken_s", "volume", "round"),
        }
        assert outcome["at"].endswith("+00:00")
        assert moments["queued"] <= moments["first_audio"] <= moments["first_sound"] <= moments["total"]
        assert moments["first_speech"] == moments["first_sound"]
        assert (outcome["speaker"], outcome["target"], outcome["tag"]) == ("kitchen", "kitchen", "t")


async def test_speaker_state_is_retained(broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d600z One.", id="one")
        await house.say("d50z Two.", id="two")
        await house.step("one", "started")
        states = await house.client.collect("edgevoice/kitchen/state")
        speaking = (
            await states.wait(lambda message: message.json["queue"] == 1 and message.json["now"])
        ).json
        assert (speaking["state"], speaking["now"]["id"], speaking["fault"]) == ("speaking", "one", None)
        await house.outcome("two")
        idle = (await states.wait(lambda message: message.json["state"] == "idle")).json
        assert (idle["now"], idle["queue"]) == (None, 0)


async def test_hundred_announcements_give_one_outcome_each(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        names = [f"n{number}" for number in range(100)]
        urgencies = ["low", "normal", "high", "critical"]
        for number, name in enumerate(names):
            await house.say(f"d20z {name}.", id=name, urgency=urgencies[number % 4])
        for name in names:
            await house.outcome(name)
        await house.leave()
        assert all(outcomes(house, name) == ["finished"] for name in names)
