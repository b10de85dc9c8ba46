"""Interruption on captured sound: numbered bursts, of which none is missing and at most one a cut is heard twice."""

from __future__ import annotations

import asyncio

import pytest

from edgevoice.scheduler import policy
from tests.support.bursts import check, heard_in, text_of
from tests.support.house import House
from tests.support.pulse import Pulse

LONG, HIGH, ALARM, OTHER = range(4), range(10, 11), range(20, 22), range(30, 31)


@pytest.fixture
def pulse(monkeypatch):
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        yield pulse


def on_card(broker, lightning, **account):
    # Whole replies take their time here, and none of them is late.
    late = {"critical_deadline": 20, "first_audio_timeout": 20}
    speakers = {"kitchen": {"output": "sound_card"}}
    return House(broker, speakers=speakers, lightning={"base_url": lightning.url, **account}, **late)


@pytest.mark.parametrize("transport", ["http", "http_stream", "websocket"])
async def test_three_nested_interruptions_during_synthesis(transport, broker, lightning, pulse, monkeypatch):
    monkeypatch.setattr(policy, "UNDERSTOOD_S", 2.0)
    lightning.pace, lightning.concurrency = 1.2, 1
    # In several parts, so that also a transport that hands over a whole reply is still at it.
    async with on_card(broker, lightning, concurrency=1, max_request_chars=20) as house:
        await house.say(text_of(LONG), id="long", transport=transport)
        await house.step("long", "started")
        await asyncio.sleep(2.2)
        await house.say(text_of(HIGH), id="high", urgency="high", transport=transport)
        await house.step("high", "started")
        await asyncio.sleep(0.7)
        await house.say(text_of(ALARM), id="alarm", urgency="critical", tag="a", transport=transport)
        await house.step("alarm", "started")
        await asyncio.sleep(0.3)
        await house.say(text_of(OTHER), id="other", urgency="critical", tag="b", transport=transport)
        ended = [await house.outcome(name, within=60) for name in ("other", "alarm", "high", "long")]
        assert [outcome["event_type"] for outcome in ended] == ["finished"] * 4
        assert [outcome["attempts"] for outcome in ended] == [[]] * 4
        for name in ("alarm", "high", "long"):
            assert house.steps(name) == ["queued", "started", "interrupted", "resumed", "finished"]
    heard = heard_in(pulse.captured())
    check(heard, LONG, cuts=1)
    check(heard, HIGH, cuts=1)
    check(heard, ALARM, cuts=1)
    check(heard, OTHER, cuts=0)
    assert lightning.most_in_flight == 1
