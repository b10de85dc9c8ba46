"""Features that meet in one announcement: the rate limiter, restarts, redelivery, escalation and interruption."""

from __future__ import annotations

import asyncio
import signal

from tests.daemon.test_persistence_at_arrival import AGAIN
from tests.support.child import ChildHouse
from tests.support.dropin import dropin
from tests.support.house import House

PLAYING = "d3000z Playing."


def house_of(broker, lightning, *speakers, **sections):
    paced = {name: {"pace": True} for name in speakers or ("kitchen",)}
    account = {"base_url": lightning.url, **sections.pop("lightning", {})}
    return ChildHouse(broker, speakers=paced, lightning=account, **sections)


async def test_restored_alarms_are_not_rate_limited(broker, lightning):
    rate = {"per_minute": 1, "burst": 3}
    limits = {"per_topic": False, "total": rate, "critical": rate}
    async with house_of(broker, lightning, limits=limits) as house:
        await house.say(PLAYING, id="playing", urgency="high")
        await house.step("playing", "started")
        for name in ("one", "two"):
            await house.say(f"d100z {name}.", id=name, urgency="high")
            await house.step(name, "queued")
        assert (await house.said("d100z Too many.", urgency="high"))["event_type"] == "suppressed"
        await house.leave(signal.SIGKILL)
        await house.again()
        for name in ("playing", "one", "two"):
            assert (await house.outcome(name))["event_type"] == "finished"
        # What was restored took nothing of the rate of what is new.
        assert (await house.said("d100z New.", urgency="high"))["event_type"] == "finished"


async def test_duplicates_of_an_alarm_take_nothing_of_its_rate(broker, lightning):
    limits = {"per_topic": False, "total": {"per_minute": 1, "burst": 2}, "critical": False}
    async with House(broker, pace=True, lightning={"base_url": lightning.url}, limits=limits) as house:
        await house.say("d600z Leak.", id="leak", urgency="high")
        for _ in range(10):
            await house.say("d600z Leak.", id="leak", urgency="high")
        outcome = await house.said("d100z Doorbell.", id="doorbell", urgency="high")
        assert outcome["event_type"] == "finished"
        assert (await house.outcome("leak"))["event_type"] == "finished"
        assert house.steps("leak").count("duplicate") == 10


async def test_suppressed_announcement_interrupts_nothing(broker, lightning):
    limits = {"per_topic": {"per_minute": 1, "burst": 1}, "total": False, "critical": False}
    async with House(broker, pace=True, lightning={"base_url": lightning.url}, limits=limits) as house:
        await house.said("d100z First.", urgency="high")
        await house.say("d1500z Long.", id="long")
        await house.step("long", "started")
        assert (await house.said("d100z Second.", urgency="high"))["event_type"] == "suppressed"
        assert (await house.outcome("long"))["event_type"] == "finished"
        assert house.steps("long") == ["queued", "started", "finished"]


async def test_normal_announcement_keeps_its_time_over_a_polite_restart(broker, lightning):
    async with house_of(broker, lightning) as house:
        began = asyncio.get_running_loop().time()
        await house.say("d100z Later.", id="later", not_before=15, ttl=60)
        await house.step("later", "queued")
        await house.leave()
        await house.again()
        outcome = await house.outcome("later")
        assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)
        assert asyncio.get_running_loop().time() - began > 14.5
        assert house.steps("later").count("finished") == 1


async def test_escalated_alert_survives_a_crash_on_both_speakers(broker, lightning):
    repeat = {"until_ack": True, "every": 5, "escalate": {"after": 1, "to": ["study"]}}
    async with house_of(broker, lightning, "kitchen", "study") as house:
        await house.say("d100z Fire.", id="fire", urgency="critical", repeat=repeat)
        await house.events.wait(
            lambda told: told.json.get("speaker") == "study" and told.json["event_type"] == "started"
        )
        await house.leave(signal.SIGKILL)
        house.events.messages.clear()
        await house.again()
        for name in ("kitchen", "study"):
            await house.events.wait(
                lambda told, name=name: (
                    told.json.get("speaker") == name and told.json["event_type"] == "started"
                )
            )
        steps = [(told.json.get("speaker"), told.json["event_type"]) for told in house.events.messages]
        # It was stored for the study too, and is not only escalated again.
        assert steps.index(("study", "queued")) < steps.index(("kitchen", "started"))
        await house.client.publish("edgevoice/all/ack", "")
        for name in ("kitchen", "study"):
            outcome = await house.outcome("fire", speaker=name)
            assert (outcome["event_type"], outcome["reason"]) == ("finished", "acknowledged")
            assert outcome["repeated"]


async def test_alarm_redelivered_twice_after_a_crash_is_spoken_again(broker, lightning, tmp_path):
    """Defect 9.4: the second was taken for the restored one too, and acknowledged without being spoken."""
    text = "d500z Water in the cellar."
    submit = 'submit(Say(target="kitchen", payload=TEXT, urgency="high", redelivered=True))'
    twice = AGAIN.replace(submit, f"{submit}\n            {submit}").replace("TEXT", repr(text.encode()))
    plugins = dropin(tmp_path / "plugins", again=twice)
    async with house_of(broker, lightning, plugins_dir=str(plugins)) as house:
        await house.client.publish("edgevoice/kitchen/say/high", text)
        started = await house.events.wait(lambda told: told.json["event_type"] == "started")
        (house.folder / "again").touch()
        await house.leave(signal.SIGKILL)
        await house.again()
        first = started.json["id"]
        await house.step(first, "duplicate")
        second = await house.events.wait(
            lambda told: told.json.get("id") != first and told.json["event_type"] == "finished"
        )
        assert (await house.outcome(first))["event_type"] == "finished"
        assert second.json["repeated"] is False
