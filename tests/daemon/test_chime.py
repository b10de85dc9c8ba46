"""Chimes: at once, from memory, while the speech is being made; the speech follows without a gap."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from edgevoice.audio.chimes import Chimes
from tests.support.house import House
from tests.support.lightning import Fault

RATE = 24000


def house_of(broker, lightning, **sections):
    sections = {"chime": {}, "lightning": {"base_url": lightning.url}, **sections}
    return House(broker, **sections)


async def test_chime_of_announcement_is_played(broker, lightning):
    async with house_of(broker, lightning) as house:
        outcome = await house.said("d200z Supper.", chime="ding")
        assert house.heard() == Chimes().sound("ding", RATE) + lightning.expected("d200z Supper.")
        assert outcome["spoken_s"] == pytest.approx(0.2)


@pytest.mark.parametrize(("urgency", "chime"), [("low", None), ("normal", None), ("high", "attention")])
async def test_chime_by_urgency(urgency, chime, broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d200z Hello.", urgency=urgency)
        sound = Chimes().sound(chime, RATE) if chime else b""
        assert house.heard() == sound + lightning.expected("d200z Hello.")


async def test_alarm_chime_fades_in_over_5_ms(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d200z Fire.", urgency="critical", volume=100)
        alarm = Chimes().sound("alarm", RATE)
        assert house.heard()[240:] == (alarm + lightning.expected("d200z Fire."))[240:]


async def test_chime_none_is_silent(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d200z Fire.", urgency="high", chime="none")
        assert house.heard() == lightning.expected("d200z Fire.")


async def test_configured_chime_by_urgency(broker, lightning):
    async with house_of(broker, lightning, chime={"normal": "done"}) as house:
        await house.said("d200z Hello.")
        assert house.heard() == Chimes().sound("done", RATE) + lightning.expected("d200z Hello.")


async def test_chime_plays_during_synthesis(broker, lightning):
    async with house_of(broker, lightning) as house:
        lightning.plan(Fault(at=-1, stall=0.5), on="http")
        outcome = await house.said("d200z Supper.", chime="ding")
        assert outcome["ms"]["first_sound"] < 400
        assert outcome["ms"]["first_speech"] >= 500
        assert house.heard() == Chimes().sound("ding", RATE) + lightning.expected("d200z Supper.")


async def test_own_chime_is_played_by_name(broker, lightning, tmp_path):
    samples = (np.arange(2400) % 200).astype("<i2").tobytes()
    with wave.open(str(tmp_path / "gong.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples)
    async with house_of(broker, lightning, chimes_dir=str(tmp_path)) as house:
        await house.said("d200z Supper.", chime="gong")
        assert house.heard() == samples + lightning.expected("d200z Supper.")
        await house.say("d200z Supper.", chime="../gong")
        rejection = await house.rejection()
        assert rejection["key"] == "chime"
        await house.say("d200z Supper.", chime="cuckoo", id="cuckoo")
        later = await house.events.wait(lambda message: "cuckoo" in str(message.json.get("reason")))
        assert "gong" in later.json["allowed"]


async def test_alarm_tone_replaces_critical_speech_that_fails(broker, lightning):
    lightning.plan(Fault(status=500), times=10)
    async with house_of(broker, lightning, routes=[{"use": ["http"]}]) as house:
        outcome = await house.said("d200z Fire.", urgency="critical", volume=100)
        assert outcome["event_type"] == "failed"
        assert house.heard().endswith(Chimes().tone(RATE))
        assert outcome["spoken_s"] in (0.0, None)
