"""Announcements are replayed on request, and a late announcement says how late it is."""

from __future__ import annotations

from tests.support.house import House


async def replayed(house, count, *, after):
    events = await house.events.wait(
        lambda message: (
            message.json.get("cached") is not None
            and "-r" in message.json["id"]
            and message.json["event_type"] == "finished"
            and message.json["id"] not in after
        )
    )
    return events.json


async def test_replay_needs_no_request(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        first = await house.said("d200z One.", id="one")
        await house.client.publish("edgevoice/kitchen/replay", "")
        again = await replayed(house, 1, after=())
        assert house.heard() == lightning.expected("d200z One.") * 2
        assert (first["cached"], again["cached"]) == (False, True)
        assert (again["transport"], again["why"]) == (first["transport"], "the clip was kept from before")
        assert (again["ms"]["queued"], again["spoken_s"]) == (None, first["spoken_s"])
        # and once more, from the same clip
        await house.client.publish("edgevoice/kitchen/replay", "1")
        await replayed(house, 1, after=(again["id"],))
        assert house.heard() == lightning.expected("d200z One.") * 3
    assert len(lightning.requests) == 1


async def test_replay_of_an_older_announcement_is_synthesized(broker, lightning):
    texts = [f"d50z Number {number}." for number in range(7)]
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        for text in texts:
            await house.said(text)
        await house.client.publish("edgevoice/kitchen/replay", "7")
        await house.events.wait(
            lambda _: sum(m.json["event_type"] == "finished" for m in house.events.messages) == 14
        )
        assert house.heard() == b"".join(map(lightning.expected, texts)) * 2
    assert len(lightning.requests) == 7 + 2


async def test_replay_of_a_stopped_announcement_is_whole(broker, lightning):
    lightning.pace = 1.0
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d1500z Stopped.", id="stopped", transport="http_stream")
        await house.step("stopped", "started")
        await house.client.publish("edgevoice/kitchen/stop", "")
        await house.outcome("stopped")
        await lightning.until(lambda: lightning.requests[0].cancelled)
        await house.client.publish("edgevoice/kitchen/replay", "")
        await replayed(house, 1, after=())
        assert house.heard().endswith(lightning.expected("d1500z Stopped."))
    assert len(lightning.requests) == 2


async def test_private_announcement_is_not_replayed(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.said("The safe is behind the clock.", private=True)
        length = len(house.heard())
        await house.client.publish("edgevoice/kitchen/replay", "")
        await house.said("d50z Next.")
        assert len(house.heard()) == length + len(lightning.expected("d50z Next."))


async def test_late_announcement_says_its_age(broker, lightning):
    async with House(broker, pace=True, lightning={"base_url": lightning.url}, say_age=1) as house:
        await house.say("d1500z Long.", id="long")
        await house.step("long", "started")
        await house.say("Somebody rang.", id="late")
        await house.outcome("late")
        await house.said("At once.")
    asked = [request.text for request in lightning.requests]
    assert asked == ["d1500z Long.", "A minute ago: Somebody rang.", "At once."]


async def test_volume_by_urgency(broker, lightning):
    speakers = {"kitchen": {"volume": 80, "volumes": {"low": 20, "critical": 90}}}
    async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
        volumes = [
            (await house.said(f"d50z {urgency}.", urgency=urgency))["volume"]
            for urgency in ("low", "normal", "critical")
        ]
        assert volumes == [20, 80, 90]
        assert (await house.said("d50z Asked.", urgency="low", volume=55))["volume"] == 55
