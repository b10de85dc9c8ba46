"""The played samples equal those of the server, through every transport."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from tests.support.house import House
from tests.support.pulse import Pulse

WHOLE = ("http", "http_stream", "websocket")
TEXT = "d700z This is heard whole. d600z And so is this."


@pytest.mark.parametrize("transport", WHOLE)
async def test_sound_card_gets_every_sample(transport, broker, lightning, monkeypatch):
    with Pulse(rate=24000) as pulse:
        pulse.enter(monkeypatch)
        async with House(
            broker, speakers={"kitchen": {"output": "sound_card"}}, lightning={"base_url": lightning.url}
        ) as house:
            outcome = await house.said(TEXT, transport=transport)
            expected = lightning.expected(TEXT)
            assert (outcome["event_type"], outcome["transport"]) == ("finished", transport)
            assert await pulse.hears(expected)
            assert outcome["spoken_s"] == pytest.approx(1.3)
        assert pulse.without_silence() == expected


@pytest.mark.parametrize("transport", WHOLE)
async def test_sound_card_at_another_rate_is_resampled(transport, broker, lightning, monkeypatch):
    with Pulse(rate=48000) as pulse:
        pulse.enter(monkeypatch)
        speakers = {"kitchen": {"output": "sound_card", "sample_rate": 48000}}
        async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
            await house.said(TEXT, transport=transport)
            spoken = np.frombuffer(lightning.expected(TEXT), "<i2")
            assert await pulse.hears(soxr.resample(spoken, 24000, 48000).tobytes(), within=1)


@pytest.mark.parametrize("transport", WHOLE)
async def test_wav_file_gets_every_byte(transport, broker, lightning):
    texts = [
        TEXT,
        "d300z Another one.",
        "Without any length of its own, and rather longer than the others. " * 8,
    ]
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        for text in texts:
            outcome = await house.said(text, transport=transport)
            assert outcome["transport"] == transport
        assert house.heard() == b"".join(lightning.expected(text) for text in texts)


async def test_long_text_is_split_and_joined_without_a_gap(broker, lightning):
    text = "".join(
        f"Sentence number {number} of a rather long text is this one here. " for number in range(30)
    )
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.said(text)
        assert house.heard() == lightning.expected(text)
    asked = [request.text for request in lightning.requests]
    assert len(asked) > 5
    assert all(len(part) <= 250 and part.endswith(".") for part in asked)
    assert lightning.most_in_flight == 1


async def test_request_follows_configuration_and_announcement(broker, lightning):
    options = {
        "base_url": lightning.url,
        "model": "lightning_v3.1_pro",
        "voice": "meher",
        "language": "hi",
        "speed": 1.25,
        "sample_rate": 16000,
        "output_format": "pcm",
        "pronunciation_dicts": ["d1"],
    }
    async with House(broker, lightning=options) as house:
        await house.said("d200z One.", transport="http")
        await house.said("d200z Two.", transport="websocket", voice="kaitlyn", language="en", speed=0.5)
    first, second = (request.body for request in lightning.requests)
    assert first == {
        "text": "d200z One.",
        "voice_id": "meher",
        "model": "lightning_v3.1_pro",
        "language": "hi",
        "speed": 1.25,
        "sample_rate": 16000,
        "output_format": "pcm",
        "pronunciation_dicts": ["d1"],
    }
    assert (second["voice_id"], second["language"], second["speed"]) == ("kaitlyn", "en", 0.5)
    assert "output_format" not in second


async def test_websocket_is_reused(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        for number in range(20):
            await house.said(f"d50z Number {number}.", transport="websocket")
        assert house.heard() == b"".join(lightning.expected(f"d50z Number {number}.") for number in range(20))
    assert lightning.sockets_opened <= 2
