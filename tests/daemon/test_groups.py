"""Several speakers on one node: one request to the server, each of them heard, one outcome from each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.house import OUTCOMES, House
from tests.support.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

SPEAKERS = {
    "hall": {"groups": ["downstairs"]},
    "kitchen": {"groups": ["downstairs", "loud"], "pace": True},
    "attic": {},
}
TEXT = "d600z To more than one."


@pytest.fixture
async def house(broker: Broker, lightning: LightningServer) -> AsyncIterator[House]:
    async with House(broker, speakers=SPEAKERS, lightning={"base_url": lightning.url}) as house:
        yield house


def outcomes(house: House, name: str) -> Counter[tuple[str, str]]:
    told = [m.json for m in house.events.messages if m.json.get("id") == name]
    return Counter((e["speaker"], e["event_type"]) for e in told if e["event_type"] in OUTCOMES)


@pytest.mark.parametrize("transport", ["http", "http_stream", "websocket"])
@pytest.mark.parametrize(
    ("target", "addressed"),
    [
        ("downstairs", ("hall", "kitchen")),
        ("all", tuple(SPEAKERS)),
        ("loud", ("kitchen",)),
        ("attic", ("attic",)),
    ],
)
async def test_group_shares_one_synthesis(
    house: House, lightning: LightningServer, target: str, addressed: tuple[str, ...], transport: str
) -> None:
    await house.say(TEXT, to=target, id="a", transport=transport)
    for speaker in addressed:
        outcome = await house.outcome("a", speaker=speaker)
        assert (outcome["target"], outcome["transport"], outcome["spoken_s"]) == (target, transport, 0.6)
    assert [asked.text for asked in lightning.requests] == [TEXT]
    for speaker in SPEAKERS:
        assert house.heard(speaker) == (lightning.expected(TEXT) if speaker in addressed else b"")
    await house.said("d50z", to="attic", id="b")
    assert outcomes(house, "a") == {(speaker, "finished"): 1 for speaker in addressed}


async def test_group_shares_one_synthesis_of_live_text(house: House, lightning: LightningServer) -> None:
    for piece in ("d300z One. ", "d300z Two. ", ""):
        await house.client.publish("edgevoice/downstairs/stream/live", piece)
    for speaker in ("hall", "kitchen"):
        assert (await house.outcome("live", speaker=speaker))["event_type"] == "finished"
        assert house.heard(speaker) == lightning.expected("d300z One. d300z Two. ")
    assert [(asked.transport, asked.text) for asked in lightning.requests] == [
        ("websocket", "d300z One. d300z Two. ")
    ]


async def test_group_shares_each_segment_of_a_long_text(house: House, lightning: LightningServer) -> None:
    sentences = [f"d100z Sentence number {number}, which is one of many." for number in range(12)]
    await house.say(" ".join(sentences), to="all", id="long")
    for speaker in SPEAKERS:
        assert (await house.outcome("long", speaker=speaker))["event_type"] == "finished"
        assert house.heard(speaker) == lightning.expected(" ".join(sentences))
    assert " ".join(asked.text for asked in lightning.requests) == " ".join(sentences)
    assert len(lightning.requests) == 3


async def test_busy_speaker_plays_the_shared_clip_later(house: House, lightning: LightningServer) -> None:
    await house.say("d800z Only here.", to="kitchen", id="before")
    await house.step("before", "started")
    await house.say(TEXT, to="downstairs", id="a")
    await house.outcome("a", speaker="hall")
    assert outcomes(house, "before") == {}
    await house.outcome("a", speaker="kitchen")
    assert house.heard("kitchen") == lightning.expected("d800z Only here.") + lightning.expected(TEXT)
    assert [asked.text for asked in lightning.requests] == ["d800z Only here.", TEXT]


async def test_stop_on_one_speaker_leaves_the_others(house: House, lightning: LightningServer) -> None:
    await house.say(TEXT, to="all", id="a")
    await house.step("a", "started")
    await house.client.publish("edgevoice/kitchen/stop", "a")
    for speaker in SPEAKERS:
        await house.outcome("a", speaker=speaker)
    assert outcomes(house, "a") == {
        ("hall", "finished"): 1,
        ("kitchen", "cancelled"): 1,
        ("attic", "finished"): 1,
    }
    assert house.heard("hall") == house.heard("attic") == lightning.expected(TEXT)
    assert lightning.expected(TEXT).startswith(house.heard("kitchen"))


async def test_failed_output_leaves_the_other_speakers(broker: Broker, lightning: LightningServer) -> None:
    speakers = {
        **SPEAKERS,
        "attic": {"output": "wav_file", "path": "/proc/nowhere.wav", "groups": ["downstairs"]},
    }
    async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
        await house.say(TEXT, to="downstairs", id="a", ttl=1)
        for speaker in ("hall", "kitchen"):
            assert (await house.outcome("a", speaker=speaker))["event_type"] == "finished"
            assert house.heard(speaker) == lightning.expected(TEXT)
        outcome = await house.outcome("a", speaker="attic")
        assert outcome["event_type"] in {"failed", "expired"}
        assert [asked.text for asked in lightning.requests] == [TEXT]


async def test_wav_file_and_sound_card_get_the_same_samples(
    broker: Broker, lightning: LightningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        speakers = {"hall": {}, "kitchen": {"output": "sound_card"}}
        async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
            await house.say(TEXT, to="all", id="a")
            await house.outcome("a", speaker="kitchen")
            assert await pulse.hears(lightning.expected(TEXT))
            assert house.heard("hall") == lightning.expected(TEXT)
            assert len(lightning.requests) == 1


@pytest.mark.parametrize("asked", ["say", "say/critical", "stream/x", "stop"])
async def test_unknown_target_is_ignored(house: House, lightning: LightningServer, asked: str) -> None:
    await house.client.publish(f"edgevoice/cellar/{asked}", "Anybody there?")
    await house.said("d50z", to="attic")
    assert [message.json["event_type"] for message in house.events.messages] == [
        "queued",
        "started",
        "finished",
    ]
    assert [asked.text for asked in lightning.requests] == ["d50z"]


async def test_duplicate_on_one_speaker_leaves_the_others(house: House) -> None:
    assert (await house.said(TEXT, to="hall", id="tea"))["event_type"] == "finished"
    await house.say(TEXT, to="all", id="tea")
    assert (await house.outcome("tea", speaker="attic"))["event_type"] == "finished"
    assert "duplicate" in house.steps("tea")
    assert house.heard("attic") == house.heard("hall")
