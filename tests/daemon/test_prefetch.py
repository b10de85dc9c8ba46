"""Fetch ahead in the whole daemon: the next one is made while this one is heard, and never at anybody's cost."""

from __future__ import annotations

import asyncio
import math

from tests.support.bursts import check, heard_in, text_of
from tests.support.house import House
from tests.support.lightning_faults import Fault

LONG = "d2000z The long one."
NEXT = "d1000z The next one."


def paced(broker, lightning, **more):
    return House(broker, pace=True, lightning={"base_url": lightning.url}, **more)


def asked(lightning, text=None):
    return [request for request in lightning.requests if text in (None, request.text)]


async def begin(house, lightning, *texts, names="abcdef"):
    """Say the first; once it is all made, the others, of which one second takes one to be made."""
    await house.say(texts[0], id=names[0])
    await lightning.until(lambda: bool(lightning.requests) and lightning.requests[0].ended)
    lightning.pace = 1
    for name, text in zip(names[1:], texts[1:], strict=False):
        await house.say(text, id=name)
    await lightning.until(lambda: any(request.made for request in asked(lightning, texts[1])))
    assert len(house.heard()) < len(lightning.expected(texts[0]))


async def test_next_announcement_is_prefetched_during_playback(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say(LONG, id="a")
        await house.say(NEXT, id="b")
        await lightning.until(lambda: any(request.ended for request in asked(lightning, NEXT)))
        assert len(house.heard()) < len(lightning.expected(LONG))
        assert (await house.outcome("b"))["event_type"] == "finished"
        assert house.steps("b") == ["queued", "started", "finished"]
        assert house.heard() == lightning.expected(LONG) + lightning.expected(NEXT)
        assert lightning.most_in_flight == 1
        assert len(lightning.requests) == 2


async def test_prefetch_yields_to_critical_and_is_made_again(broker, lightning):
    first, following = text_of(range(2)), text_of(range(10, 12))
    async with paced(broker, lightning) as house:
        await begin(house, lightning, first, following)
        await house.said("d200z Fire.", urgency="critical", id="fire")
        await house.outcome("b")
        ahead, again = asked(lightning, following)
        assert ahead.cancelled
        assert again.ended
        assert lightning.requests.index(asked(lightning, "d200z Fire.")[0]) == 2
        heard = heard_in(house.heard())
    check(heard, range(10, 12), cuts=0)
    check([burst for burst in heard if burst.seconds > 0.1], range(2), cuts=1)


async def test_prefetch_never_delays_another_speaker(broker, lightning):
    async with paced(broker, lightning, speakers={"kitchen": {}, "attic": {}}) as house:
        await begin(house, lightning, LONG, NEXT)
        await house.said("d200z For the attic.", to="attic", urgency="low", id="attic")
        await house.outcome("b")
        assert [request.text for request in lightning.requests] == [LONG, NEXT, "d200z For the attic.", NEXT]
        assert asked(lightning, NEXT)[0].cancelled
        assert house.heard() == lightning.expected(LONG) + lightning.expected(NEXT)


async def test_prefetched_alarm_has_no_deadline_before_its_turn(broker, lightning):
    lightning.pace = 1
    first, second = "d3500z Water in the cellar.", "d300z Fire in the kitchen."
    async with paced(broker, lightning) as house:
        await house.say(first, id="water", urgency="critical", tag="water")
        await lightning.until(lambda: bool(asked(lightning, first)))
        outcome = await house.said(second, id="fire", urgency="critical", tag="fire")
        assert (outcome["transport"], outcome["attempts"]) == ("websocket", [])
        assert [request.text for request in lightning.requests] == [first, second]


async def test_prefetched_alarm_waits_for_a_stalled_transport(broker, lightning):
    first, second = "d3500z Water in the cellar.", "d500z Fire in the kitchen."
    async with paced(broker, lightning, critical_deadline=1.0) as house:
        await house.say(first, id="water", urgency="critical", tag="water")
        await lightning.until(lambda: any(request.ended for request in asked(lightning, first)))
        lightning.plan(Fault(at=2, stall=1.8), on="websocket")
        outcome = await house.said(second, id="fire", urgency="critical", tag="fire")
        assert (outcome["transport"], outcome["attempts"]) == ("websocket", [])


async def test_prefetch_of_an_ended_announcement_is_cancelled(broker, lightning):
    async with paced(broker, lightning) as house:
        await begin(house, lightning, LONG, NEXT)
        await house.client.publish("edgevoice/kitchen/stop", "b")
        assert (await house.outcome("b"))["event_type"] == "cancelled"
        await lightning.until(lambda: asked(lightning, NEXT)[0].cancelled)
        await house.outcome("a")
        assert house.heard() == lightning.expected(LONG)
        assert len(lightning.requests) == 2


async def test_prefetch_of_a_held_announcement_restarts_on_release(broker, lightning):
    async with paced(broker, lightning, digest="off") as house:
        await begin(house, lightning, LONG, NEXT)
        await house.client.publish("edgevoice/kitchen/dnd/set", "5")
        await house.step("b", "held")
        await lightning.until(lambda: asked(lightning, NEXT)[0].cancelled)
        await house.step("a", "held")
        assert len(lightning.requests) == 2
        lightning.pace = math.inf
        await house.client.publish("edgevoice/kitchen/dnd/set", "0")
        assert (await house.outcome("b"))["event_type"] == "finished"
        assert house.heard().endswith(lightning.expected(NEXT))
        assert len(asked(lightning, NEXT)) == 2


async def test_prefetch_continues_for_another_speaker(broker, lightning):
    async with paced(broker, lightning, speakers={"kitchen": {}, "attic": {}}) as house:
        await house.say(LONG, id="a", to="all")
        await lightning.until(lambda: bool(lightning.requests) and lightning.requests[0].ended)
        lightning.pace = 1
        await house.say(NEXT, id="b", to="all")
        await lightning.until(lambda: any(request.made for request in asked(lightning, NEXT)))
        await house.client.publish("edgevoice/kitchen/dnd/set", "5")
        await house.step("b", "held")
        assert (await house.outcome("b", speaker="attic"))["event_type"] == "finished"
        assert house.heard("attic") == lightning.expected(LONG) + lightning.expected(NEXT)
        assert len(asked(lightning, NEXT)) == 1


async def test_prefetch_is_kept_behind_a_more_urgent_announcement(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say("d3000z The long one.", id="a")
        await house.say(NEXT, id="b")
        await lightning.until(lambda: any(request.ended for request in asked(lightning, NEXT)))
        assert len(house.heard()) < len(lightning.expected("d3000z The long one."))
        await house.said("d300z Fire.", urgency="critical", id="fire")
        assert (await house.outcome("b"))["event_type"] == "finished"
        assert len(asked(lightning, NEXT)) == 1


async def test_failed_prefetch_is_retried_on_its_turn(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say(LONG, id="a")
        await lightning.until(lambda: bool(asked(lightning, LONG)))
        lightning.plan(Fault(at=-1, status=500), on="http")
        await house.say(NEXT, id="b", transport="http")
        outcome = await house.outcome("b")
        assert outcome["event_type"] == "finished"
        assert [attempt["error"][:12] for attempt in outcome["attempts"]] == ["refused: 500"]
        assert len(asked(lightning, NEXT)) == 2
        assert house.heard() == lightning.expected(LONG) + lightning.expected(NEXT)


async def test_spoken_age_counts_to_the_start_of_playback(broker, lightning):
    told = f"A minute ago: {NEXT}"
    async with paced(broker, lightning, say_age=2.5) as house:
        await house.say(LONG, id="a")
        await house.say(NEXT, id="b")
        await lightning.until(lambda: any(request.ended for request in asked(lightning, NEXT)))
        await house.said("d1000z Fire.", urgency="critical")
        await house.outcome("b")
        assert [request.text for request in lightning.requests] == [LONG, NEXT, "d1000z Fire.", told]
        assert house.heard().endswith(lightning.expected(told))


async def test_live_text_is_prefetched_while_it_waits(broker, lightning):
    async with paced(broker, lightning) as house:
        await house.say(LONG, id="a")
        await lightning.until(lambda: bool(asked(lightning, LONG)))
        await house.client.publish("edgevoice/kitchen/stream/live", "d500z First. ")
        await lightning.until(lambda: any(request.made for request in asked(lightning)[1:]))
        assert len(house.heard()) < len(lightning.expected(LONG))
        await asyncio.sleep(0.1)
        await house.client.publish("edgevoice/kitchen/stream/live", "d500z Second.")
        await house.client.publish("edgevoice/kitchen/stream/live", "")
        assert (await house.outcome("live"))["event_type"] == "finished"
        live = lightning.expected("d500z First.") + lightning.expected("d500z Second.")
        assert house.heard() == lightning.expected(LONG) + live
