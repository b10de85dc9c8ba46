"""Prerendered phrases: rendered when idle, played without a request, retried, reported."""

from __future__ import annotations

import asyncio
import logging

import pytest

from edgevoice import SpeechOptions
from edgevoice.cache.prerender import Prerenderer
from edgevoice.config.options import CoreOptions, Phrase
from edgevoice.control import query
from edgevoice.synthesis.concurrency import ConcurrencyLimiter
from edgevoice.synthesis.routing import DEFAULT_ROUTES
from edgevoice.synthesis.synthesizer import SynthesisContext, Synthesizer
from tests.support.announcements import announcement
from tests.support.caches import clips, running
from tests.support.house import House
from tests.support.lightning import Fault
from tests.support.transports import opened

DOOR, SMOKE, DINNER = "d300z At the door.", "d400z Smoke.", "d200z Das Essen ist fertig."
THREE = [DOOR, SMOKE, {"text": DINNER, "language": "de"}]
ON = {"cache": {"enabled": True}}


def house_of(broker, lightning, phrases=THREE, **sections):
    return House(broker, lightning={"base_url": lightning.url}, phrases=phrases, **ON, **sections)


async def ready(house, count):
    async with asyncio.timeout(10):
        while len(clips(house.folder / "cache")) < count:
            await asyncio.sleep(0.01)


async def test_phrases_are_rendered_at_start(broker, lightning, caplog):
    caplog.set_level(logging.INFO)
    async with house_of(broker, lightning) as house:
        await ready(house, 3)
        assert [asked.text for asked in lightning.requests] == [DOOR, SMOKE, DINNER]
        assert lightning.most_in_flight == 1
        assert lightning.requests[2].body["language"] == "de"
        assert (await house.said(DOOR))["cached"]
        assert (await house.said(SMOKE, urgency="critical"))["cached"]
        assert (await house.said(DINNER, language="de"))["cached"]
        assert not (await house.said(DINNER))["cached"]
        assert house.heard().startswith(lightning.expected(DOOR))
    assert len(lightning.requests) == 4
    for count in (1, 2, 3):
        assert f"{count} of 3 phrases ready" in caplog.text


async def test_phrases_work_offline(broker, lightning):
    async with house_of(broker, lightning) as house:
        await ready(house, 3)
        lightning.plan(Fault(at=-1, cut=True), times=100)
        outcome = await house.said(SMOKE, urgency="critical")
        assert (outcome["event_type"], outcome["cached"], outcome["attempts"]) == ("finished", True, [])


async def test_restart_renders_only_changed_phrases(broker, lightning, tmp_path):
    voices = [{}, {}, {"voice": "devansh"}, {"voice": "devansh"}]
    made = []
    for voice in voices:
        account = {"base_url": lightning.url, **voice}
        async with House(
            broker, lightning=account, phrases=[DOOR, SMOKE], state_dir=str(tmp_path), **ON
        ) as house:
            for text in (DOOR, SMOKE):
                assert (await house.said(text, id=f"{len(made)}-{text[:4]}"))["event_type"] == "finished"
        made.append(len(lightning.requests))
    assert made[1] - made[0] == 0
    assert made[2] - made[1] >= 2
    assert made[3] - made[2] == 0


async def test_announcement_preempts_rendering(broker, lightning):
    lightning.pace = 1.0
    phrases = ["d1500z The first phrase.", "d300z The second phrase."]
    async with house_of(broker, lightning, phrases) as house:
        await lightning.until(lambda: len(lightning.requests) == 1)
        assert (await house.said("d100z Now."))["event_type"] == "finished"
        await ready(house, 3)
        assert [asked.text for asked in lightning.requests] == [phrases[0], "d100z Now.", *phrases]
        assert lightning.requests[0].cancelled
        for phrase in phrases:
            assert (await house.said(phrase))["cached"]
        assert house.heard().endswith(b"".join(map(lightning.expected, phrases)))
    assert lightning.most_in_flight == 1


async def test_cleared_phrases_are_rendered_again(broker, lightning):
    async with house_of(broker, lightning) as house:
        await ready(house, 3)
        state = await asyncio.to_thread(query, house.folder, ask="cache", clear=True)
        assert (state["clips"], state["phrases"], state["ready"], state["misses"]) == (3, 3, 3, 0)
        await lightning.until(lambda: len(lightning.requests) == 6)
        await ready(house, 3)
        assert (await house.said(DOOR))["cached"]


class Rig:
    """Phrases in a cache, made over http alone, with pauses that a test can wait for."""

    def __init__(self, cache, transport, phrases, **pauses):
        core = CoreOptions()
        self.faults: list[str | None] = []
        means = SynthesisContext(
            {"http": transport}, core, SpeechOptions(), {"lightning": ConcurrencyLimiter(1)}, self.fault
        )
        self.synthesis = Synthesizer(means, DEFAULT_ROUTES, cache=cache, spool=lambda: None)
        self.phrases = Prerenderer(phrases, cache, self.synthesis, self.fault, **{"retry_s": 0.05, **pauses})

    def fault(self, part, sentence):
        if part == "phrases":
            self.faults.append(sentence)

    async def until(self, holds):
        task = asyncio.create_task(self.phrases.run())
        try:
            async with asyncio.timeout(10):
                while not holds():
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.synthesis.__aexit__()


async def test_failed_phrase_is_retried_last(lightning, tmp_path):
    lightning.plan(Fault(at=-1, status=500), on="http", times=2)
    async with running(tmp_path / "cache") as cache, opened("http", lightning.url) as transport:
        rig = Rig(cache, transport, [DOOR, SMOKE, DINNER])
        await rig.until(lambda: rig.phrases.ready == 3)
    texts = [asked.text for asked in lightning.requests]
    assert sorted(texts) == sorted([DOOR, SMOKE, DINNER, *texts[:2]])
    assert texts[0] != texts[1]
    assert set(rig.faults) == {None}


async def test_lasting_failure_is_a_fault(lightning, tmp_path):
    lightning.plan(Fault(at=-1, status=500, body=b'{"message": "no such voice"}'), on="http", times=4)
    async with running(tmp_path / "cache") as cache, opened("http", lightning.url) as transport:
        rig = Rig(cache, transport, [DOOR], fault_after_s=0.01)
        await rig.until(lambda: rig.phrases.ready == 1 and rig.faults[-1] is None)
    told = [fault for fault in rig.faults if fault]
    assert told
    assert told[-1].startswith("0 of 1 ready: no transport spoke (http: ")
    assert "no such voice" in told[-1]


async def test_oversized_phrase_is_a_fault(lightning, tmp_path):
    too_long = "d11000z Longer than half of the cache."
    async with running(tmp_path / "cache", max_mb=1) as cache, opened("http", lightning.url) as transport:
        rig = Rig(cache, transport, [too_long, DOOR], fault_after_s=0.01)
        told = "1 of 2 ready: no room"
        await rig.until(lambda: any(str(fault).startswith(told) for fault in rig.faults))


async def test_damaged_phrase_is_rendered_again(lightning, tmp_path):
    async with opened("http", lightning.url) as transport:
        async with running(tmp_path / "cache") as cache:
            rig = Rig(cache, transport, [DOOR, SMOKE])
            await rig.until(lambda: rig.phrases.ready == 2)
        [first, _] = sorted((tmp_path / "cache").glob("*.clip"))
        first.write_bytes(first.read_bytes()[:-1])
        async with running(tmp_path / "cache") as cache:
            rig = Rig(cache, transport, [DOOR, SMOKE])
            await rig.until(lambda: len(lightning.requests) == 3 and rig.phrases.ready == 2)


async def test_phrases_are_not_evicted(lightning, tmp_path):
    async with running(tmp_path / "cache", max_mb=1) as cache, opened("http", lightning.url) as transport:
        rig = Rig(cache, transport, [DOOR, Phrase(text=DOOR, voice="devansh")])
        await rig.until(lambda: rig.phrases.ready == 2)
        for number in range(12):
            speech = rig.synthesis.new_job(announcement(text=f"d3000z Number {number}."))
            speech.join()
            speech.request()
            await speech.clip.wait_end()
            await cache.flush()
            speech.leave()
        assert rig.phrases.ready == 2


@pytest.mark.parametrize("enabled", [True, False])
async def test_no_phrases_no_requests(enabled, broker, lightning):
    async with House(broker, lightning={"base_url": lightning.url}, cache={"enabled": enabled}) as house:
        assert (await house.said("d50z Only this."))["event_type"] == "finished"
    assert len(lightning.requests) == 1
