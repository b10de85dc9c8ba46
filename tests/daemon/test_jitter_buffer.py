"""How a stream that stutters is heard: on captured sound, over real sockets."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.house import House
from tests.support.lightning import Fault
from tests.support.pulse import Pulse

TEXT = "d3000z Three seconds."
CHUNK = 3840
#: Seconds of silence, at least, that no busy machine makes of itself.
HOLE = 0.05
STREAMING = pytest.mark.parametrize("transport", ["http_stream", "websocket"])


@pytest.fixture
def pulse(monkeypatch):
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        yield pulse


def holes_in(pcm: bytes, rate: int = 24000) -> int:
    """Silences between the first sample and the last."""
    sounds = np.flatnonzero(np.frombuffer(pcm, "<i2"))
    return int((np.diff(sounds) > HOLE * rate).sum())


async def made_before_it_sounded(house: House, lightning, name: str, **keys) -> int:
    """Bytes that the server had made of an announcement when its first sound was told."""
    await house.say(TEXT, id=name, **keys)
    await house.step(name, "started")
    made: int = lightning.requests[-1].made
    outcome = await house.outcome(name)
    assert (outcome["event_type"], outcome["attempts"]) == ("finished", [])
    return made


@STREAMING
async def test_stall_is_one_gap_and_loses_no_sample(transport, broker, lightning, pulse):
    lightning.pace = 1.5
    lightning.plan(Fault(at=10, stall=1.5), on=transport)
    speakers = {"kitchen": {"output": "sound_card"}}
    async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
        outcome = await house.said(TEXT, transport=transport)
        assert outcome["event_type"] == "finished"
    assert holes_in(pulse.captured()) == 1
    assert pulse.without_silence() == lightning.expected(TEXT)


@STREAMING
async def test_jitter_buffer_learns_from_a_stall(transport, broker, lightning):
    lightning.pace = 4.0
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        lightning.plan(Fault(at=1, stall=2.0), on=transport)
        assert await made_before_it_sounded(house, lightning, "first", transport=transport) == CHUNK
        lightning.plan(Fault(at=1, stall=0.3), on=transport)
        assert await made_before_it_sounded(house, lightning, "second", transport=transport) > CHUNK
        assert house.heard() == 2 * lightning.expected(TEXT)


@STREAMING
async def test_critical_skips_the_jitter_buffer(transport, broker, lightning):
    lightning.pace = 4.0
    async with House(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        lightning.plan(Fault(at=1, stall=2.0), on=transport)
        await made_before_it_sounded(house, lightning, "first", transport=transport)
        lightning.plan(Fault(at=1, stall=1.0), on=transport)
        keys = {"transport": transport, "urgency": "critical"}
        assert await made_before_it_sounded(house, lightning, "alarm", **keys) == CHUNK
