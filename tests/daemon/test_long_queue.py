"""A thousand at once: each has its one outcome, in order, and the urgent does not wait for them."""

from __future__ import annotations

from tests.support.house import OUTCOMES, House

COUNT = 1000


async def test_critical_overtakes_a_thousand_announcements(broker, lightning):
    lightning.setup = 60.0
    limits = {"per_topic": False, "total": False, "critical": False, "queue": COUNT + 1}
    async with House(broker, lightning={"base_url": lightning.url}, limits=limits) as house:
        names = [f"n{number}" for number in range(COUNT)]
        for name in names:  # the first patiently, as there is no other transport for it
            await house.say(f"d20z {name}.", id=name, **({"transport": "http"} if name == "n0" else {}))
        await house.step(names[-1], "queued")
        lightning.setup = 0.0
        await house.say("d20z Fire.", id="fire", urgency="critical")
        await house.outcome(names[-1], within=60)
        ended = [m.json for m in house.events.messages if m.json["event_type"] in OUTCOMES]
    assert [event["id"] for event in ended] == ["fire", *names]
    assert {event["event_type"] for event in ended} == {"finished"}
    texts = [request.text for request in lightning.requests if not request.cancelled]
    assert texts == ["d20z Fire.", *(f"d20z {name}." for name in names)]
