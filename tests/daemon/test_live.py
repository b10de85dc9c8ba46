"""Live text: pieces in their order, senders that die, and others who wait meanwhile."""

from __future__ import annotations

import json

import pytest

from edgevoice.intake import live_streams
from edgevoice.playback import player
from edgevoice.synthesis import segments
from edgevoice.synthesis.synthesizer import Timeouts
from tests.support.house import House
from tests.support.lightning import Fault


async def piece(house, name, text, **properties):
    await house.client.publish(f"edgevoice/kitchen/stream/{name}", text, **properties)


async def test_chunks_are_joined_verbatim(broker, lightning):
    pieces = ["d100z Hel", "lo wor", "ld. d100z How ", "are you", "?"]
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        for text in [*pieces, b""]:
            await piece(house, "a", text)
        outcome = await house.outcome("a")
        assert (outcome["event_type"], outcome["transport"], outcome["id"]) == ("finished", "websocket", "a")
        assert house.heard() == lightning.expected("".join(pieces))
    assert "".join(lightning.requests[0].pieces) == "".join(pieces)


async def test_options_come_with_the_first_chunk(broker, lightning):
    options = {"text": "d100z First.", "urgency": "high", "voice": "olivia", "end": False}
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", json.dumps(options))
        await piece(house, "a", " d100z Last.", content_type="text/plain")
        await piece(house, "a", json.dumps({"end": True}), content_type="application/json")
        outcome = await house.outcome("a")
        assert (outcome["event_type"], outcome["urgency"]) == ("finished", "high")
        assert house.heard() == lightning.expected("d100z First. d100z Last.")
    assert lightning.requests[0].body["voice_id"] == "olivia"


async def test_brace_without_options_is_text(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", "{d100z")
        await piece(house, "a", " a brace.")
        await piece(house, "a", b"")
        await house.outcome("a")
        assert house.heard() == lightning.expected("{d100z a brace.")


async def test_live_text_of_a_dead_sender_ends(broker, lightning, monkeypatch):
    monkeypatch.setattr(live_streams, "SENDER_TIMEOUT_S", 0.5)
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", "d100z All there is.")
        outcome = await house.outcome("a")
        assert outcome["event_type"] == "finished"
        assert len(outcome["warnings"]) == 1
        assert house.heard() == lightning.expected("d100z All there is.")


async def test_chunk_after_the_end_is_rejected(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", "d100z One.")
        await piece(house, "a", b"")
        await house.outcome("a")
        await piece(house, "a", "d100z Too late.")
        rejection = await house.rejection()
        assert (rejection["reason"], rejection["id"]) == ("this live text has ended", "a")
        assert house.heard() == lightning.expected("d100z One.")


async def test_concurrent_live_texts_play_in_order(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", "d100z A one. ")
        await piece(house, "b", "d100z B one. ")
        await piece(house, "a", "d100z A two.")
        await piece(house, "b", "d100z B two.")
        await piece(house, "b", b"")
        await piece(house, "a", b"")
        await house.outcome("a")
        await house.outcome("b")
        assert house.heard() == lightning.expected("d100z A one. d100z A two.") + lightning.expected(
            "d100z B one. d100z B two."
        )


async def test_silent_live_text_yields_the_speaker(broker, lightning, monkeypatch):
    monkeypatch.setattr(segments, "LIVE_IDLE_S", 0.3)
    monkeypatch.setattr(player, "LIVE_IDLE_S", 0.3)
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", "d100z A one. ")
        await house.step("a", "started")
        other = await house.said("d100z Somebody else.", id="b")
        assert other["event_type"] == "finished"
        await piece(house, "a", "d100z A two.")
        await piece(house, "a", b"")
        outcome = await house.outcome("a")
        assert outcome["event_type"] == "finished"
        assert house.steps("a") == ["queued", "started", "interrupted", "resumed", "finished"]
        texts = ["d100z A one.", "d100z Somebody else.", "d100z A two."]
        assert house.heard() == b"".join(lightning.expected(text) for text in texts)


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(at=-1, silent=True)], ids=["refused", "silent"])
async def test_live_text_falls_back_to_single_sentences(fault, broker, lightning):
    lightning.plan(fault, on="websocket", times=1)
    late = {"low": 0.3, "normal": 0.3, "high": 0.3}
    async with House(
        broker,
        lightning={"base_url": lightning.url},
        first_audio_timeout=late,
        timeouts=Timeouts(live_text_s=0.2),
    ) as house:
        for text in ["d100z One. d100z ", "Two. ", "d100z Three", ".", b""]:
            await piece(house, "a", text)
        outcome = await house.outcome("a")
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "http_stream")
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["websocket"]
        assert house.heard() == lightning.expected("d100z One. d100z Two. d100z Three.")
        sentences = [request.text for request in lightning.requests if request.transport == "http_stream"]
        assert sentences == ["d100z One.", "d100z Two.", "d100z Three."]


@pytest.mark.parametrize("first", [{"urgency": "normal"}, {"text": "  "}], ids=["options", "blanks"])
async def test_empty_live_text_yields_the_speaker(first, broker, lightning, monkeypatch):
    monkeypatch.setattr(player, "LIVE_IDLE_S", 0.3)
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", json.dumps(first))
        await house.step("a", "queued")
        assert (await house.said("d100z Somebody else.", id="b"))["event_type"] == "finished"
        await piece(house, "a", "d100z At last.")
        await piece(house, "a", b"")
        await house.outcome("a")
        assert house.steps("a") == ["queued", "started", "finished"]
        assert house.heard() == b"".join(map(lightning.expected, ["d100z Somebody else.", "d100z At last."]))


async def test_end_of_unknown_live_text_is_ignored(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", b"")
        await house.said("d100z Next.", id="b")
        assert house.steps("a") == []


async def test_blank_live_text_fails(broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await piece(house, "a", "  ")
        await piece(house, "a", b"")
        outcome = await house.outcome("a")
        assert (outcome["event_type"], outcome["reason"]) == ("failed", "there was nothing to say")


@pytest.mark.parametrize("urgency", ["high", "critical"])
async def test_waiting_live_text_fails_at_a_restart(broker, lightning, urgency):
    async with House(broker, lightning={"base_url": lightning.url}) as house:
        await house.client.publish("edgevoice/kitchen/mute/set", "ON")
        await piece(house, "a", json.dumps({"text": "d100z Hello.", "urgency": urgency, "not_before": 60}))
        await piece(house, "a", b"")
        await house.step("a", "queued")
        await house.leave()
        outcome = await house.outcome("a")
        assert (outcome["event_type"], outcome["reason"]) == ("failed", "restart")
