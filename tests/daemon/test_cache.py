"""The cache in the daemon: what is a hit, and what is never cached."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from tests.support.caches import clips
from tests.support.child import EDGEVOICE, ChildHouse, ended
from tests.support.house import House
from tests.support.lightning import Fault, LightningServer

TEXT = "d300z The washing machine is done."
LONG = "d2500z Something long."
ON = {"cache": {"enabled": True}}


def house_of(broker, lightning, **sections):
    return House(broker, **{"lightning": {"base_url": lightning.url}, **ON, **sections})


async def written(house, count):
    """Wait until this many clips lie on the disk; metadata is stored beside them."""
    async with asyncio.timeout(10):
        while len(clips(house.folder / "cache")) < count:
            await asyncio.sleep(0.01)


async def settled(house, text="d50z Something else."):
    """Say something else, and wait until it is kept: what came before would be kept by then, too."""
    there = len(clips(house.folder / "cache"))
    await house.said(text)
    await written(house, there + 1)


@pytest.mark.parametrize("transport", ["http", "http_stream", "websocket"])
async def test_second_announcement_is_a_hit(transport, broker, lightning):
    async with house_of(broker, lightning) as house:
        first = await house.said(TEXT, transport=transport)
        await written(house, 1)
        second = await house.said(TEXT)
        assert house.heard() == lightning.expected(TEXT) * 2
    assert len(lightning.requests) == 1
    assert (first["cached"], first["transport"]) == (False, transport)
    assert (second["event_type"], second["cached"], second["transport"]) == ("finished", True, None)
    assert second["why"] == "a complete clip is in the cache"
    assert second["ms"]["queued"] is None
    assert second["ms"]["first_audio"] is not None
    assert (second["attempts"], second["spoken_s"]) == ([], first["spoken_s"])


async def test_long_text_is_a_hit(broker, lightning):
    text = " ".join(f"d900z This is the sentence with the number {number}." for number in range(12))
    async with house_of(broker, lightning) as house:
        await house.said(text)
        await written(house, 1)
        asked = len(lightning.requests)
        assert (await house.said(text))["cached"]
        assert house.heard() == lightning.expected(text) * 2
    assert asked == len(lightning.requests) > 1


async def test_group_shares_cached_clip(broker, lightning):
    speakers = {"kitchen": {}, "study": {}}
    async with house_of(broker, lightning, speakers=speakers) as house:
        await house.said(TEXT)
        await written(house, 1)
        await house.say(TEXT, to="all", id="both")
        for speaker in speakers:
            assert (await house.outcome("both", speaker=speaker))["cached"]
        assert house.heard("study") == lightning.expected(TEXT)
    assert len(lightning.requests) == 1


async def test_cache_survives_restart(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said(TEXT)
        await house.leave()
        await house.again()
        assert (await house.said(TEXT))["cached"]
        assert house.heard() == lightning.expected(TEXT) * 2
    assert len(lightning.requests) == 1


async def test_damaged_file_is_requested_again(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said(TEXT)
        await written(house, 1)
        [file] = (house.folder / "cache").glob("*.clip")
        damaged = bytearray(file.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        file.write_bytes(damaged)
        assert not (await house.said(TEXT))["cached"]
        await written(house, 1)
        assert (await house.said(TEXT))["cached"]
        assert house.heard() == lightning.expected(TEXT) * 3
    assert len(lightning.requests) == 2


async def test_other_voice_language_or_speed_is_a_miss(broker, lightning):
    changes = [{"voice": "devansh"}, {"language": "de"}, {"speed": 1.5}]
    async with house_of(broker, lightning) as house:
        await settled(house, TEXT)
        for change in changes:
            assert not (await house.said(TEXT, **change))["cached"]
        await written(house, 4)
        for change in changes:
            assert (await house.said(TEXT, **change))["cached"]
    assert len(lightning.requests) == 4


async def test_other_configuration_is_a_miss(broker, lightning, tmp_path):
    async with LightningServer() as elsewhere:
        sections = [
            ({"base_url": lightning.url}, False),
            ({"base_url": lightning.url, "voice": "devansh"}, False),
            ({"base_url": elsewhere.url}, False),
            ({"base_url": lightning.url}, True),
        ]
        for number, (section, cached) in enumerate(sections):
            async with House(broker, lightning=section, state_dir=str(tmp_path), **ON) as house:
                assert (await house.said(TEXT, id=f"id-{number}"))["cached"] is cached
        assert (len(lightning.requests), len(elsewhere.requests)) == (2, 1)


async def test_private_is_neither_stored_nor_looked_up(broker, lightning):
    secret = "The safe is behind the xylophone."
    async with house_of(broker, lightning) as house:
        private = await house.said(secret, private=True)
        await settled(house)
        assert len(clips(house.folder / "cache")) == 1
        heard = house.heard()[: -len(lightning.expected("d50z Something else."))]
        stored = [
            file.read_bytes()
            for file in house.folder.rglob("*")
            if file.is_file() and file.suffix not in (".wav", ".yaml")
        ]
        assert (private["transport"], private["cached"]) == ("local", False)
        assert len(heard) > 20_000
        for content in stored:
            assert b"xylophone" not in content
            assert heard[8000:9000] not in content
        await house.said(secret)
        await written(house, 2)
        again = await house.said(secret, private=True)
        assert (again["transport"], again["cached"]) == ("local", False)


async def test_local_voice_is_not_cached(broker, lightning):
    async with house_of(broker, lightning) as house:
        assert (await house.said(TEXT, transport="local"))["transport"] == "local"
        lightning.plan(Fault(at=-1, status=503), times=3)
        assert (await house.said(TEXT))["transport"] == "local"
        await settled(house)
        assert not (await house.said(TEXT))["cached"]
        await written(house, 2)
        assert (await house.said(TEXT, transport="local"))["transport"] == "local"


async def test_live_text_is_not_cached(broker, lightning):
    async with house_of(broker, lightning) as house:
        for piece in ("d100z Live.", ""):
            await house.client.publish("edgevoice/kitchen/stream/live", piece)
        await house.outcome("live")
        await settled(house)
        assert len(clips(house.folder / "cache")) == 1
        assert not (await house.said("d100z Live."))["cached"]


@pytest.mark.parametrize("transport", ["http_stream", "websocket"])
async def test_stopped_announcement_is_not_cached(transport, broker, lightning):
    lightning.pace = 1.0
    async with house_of(broker, lightning, speakers={"kitchen": {"pace": True}}) as house:
        await house.say(LONG, id="stopped", transport=transport)
        await house.step("stopped", "started")
        await house.client.publish("edgevoice/kitchen/stop", "")
        await house.outcome("stopped")
        await settled(house)
        assert len(clips(house.folder / "cache")) == 1
        whole = await house.said(LONG)
        assert not whole["cached"]
        assert house.heard().endswith(lightning.expected(LONG))


async def test_interrupted_synthesis_is_not_cached(broker, lightning):
    lightning.pace = 1.0
    async with house_of(broker, lightning, speakers={"kitchen": {"pace": True}}) as house:
        await house.say(LONG, id="long", transport="http_stream")
        await house.step("long", "started")
        await house.said("d100z Smoke.", urgency="critical")
        assert (await house.outcome("long"))["event_type"] == "finished"
        assert [asked.text for asked in lightning.requests] == [LONG, "d100z Smoke.", LONG]
        await written(house, 1)
        lightning.pace = 100.0
        assert not (await house.said(LONG))["cached"]
        assert (await house.said("d100z Smoke."))["cached"]


@pytest.mark.parametrize("transport", ["http_stream", "websocket"])
@pytest.mark.parametrize("fault", [Fault(at=5, cut=True), Fault(at=5, reset=True), Fault(at=5, spoilt=True)])
async def test_truncated_reply_is_not_cached(transport, fault, broker, lightning):
    lightning.plan(fault, on=transport)
    async with house_of(broker, lightning) as house:
        await house.said("d800z Broken off.", transport=transport)
        await settled(house)
        assert len(clips(house.folder / "cache")) == 1
        again = await house.said("d800z Broken off.", transport=transport)
        assert (again["event_type"], again["cached"]) == ("finished", False)


async def test_sigkill_leaves_intact_clips_only(broker, lightning):
    texts = [f"d{1000 + number}z Number {number}." for number in range(6)]
    async with ChildHouse(broker, lightning={"base_url": lightning.url}, **ON) as house:
        for text in texts:
            await house.said(text)
        await house.leave(signal.SIGKILL)
        (house.folder / "cache" / ("0" * 40 + ".part")).write_bytes(b"half of one")
        await house.again()
        again = [await house.said(text) for text in texts]
        assert house.heard().endswith(b"".join(map(lightning.expected, texts)))
        assert sum(outcome["cached"] for outcome in again) == 12 - len(lightning.requests)
        assert not list((house.folder / "cache").glob("0*.part"))


async def test_full_disk_is_no_fault(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.leave()
        (house.folder / "cache").write_text("a file in its place")
        await house.again()
        states = await house.client.collect("edgevoice/kitchen/state")
        for _ in range(2):
            outcome = await house.said(TEXT)
            assert (outcome["event_type"], outcome["cached"]) == ("finished", False)
        assert {message.json["fault"] for message in states.messages} == {None}


async def test_cache_command(broker, lightning):
    async with ChildHouse(broker, lightning={"base_url": lightning.url}, **ON) as house:
        config = ("--config", str(house.config))

        async def told(*words):
            status, out, err = await ended(*EDGEVOICE, *words, *config, home=house.home)
            assert status == 0, err
            return out

        assert "a complete clip is in the cache" not in await told("explain", TEXT)
        await house.said(TEXT)
        await written(house, 1)
        await house.said(TEXT)
        explained = await told("explain", TEXT)
        assert "transports  none" in explained
        assert "a complete clip is in the cache" in explained
        private = json.dumps({"text": TEXT, "private": True})
        assert "a complete clip is in the cache" not in await told("explain", private)
        assert await told("cache") == "1 clip, 0 of 200 MB; 1 of 2 needed no request (50%)\n"
        assert " cache " in (await told("history")).splitlines()[-1]
        assert "cleared" in await told("cache", "--clear")
        assert '"clips": 0' in await told("cache", "--json")
        assert not (await house.said(TEXT))["cached"]
        await written(house, 1)
        await house.leave()
        assert "a complete clip is in the cache" in await told("explain", TEXT)
        assert (await ended(*EDGEVOICE, "cache", *config, home=house.home))[0] == 1
        await house.again()
