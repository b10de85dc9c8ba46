"""Hedging: a critical one that is later than usual is asked for twice, and the first to sound is heard."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from edgevoice import SpeechOptions, Urgency
from edgevoice.cache.cache import Cache
from edgevoice.config.options import CacheOptions, CoreOptions, Route
from edgevoice.plugin import NoOptions
from edgevoice.synthesis.concurrency import ConcurrencyLimiter
from edgevoice.synthesis.latency import LatencyModel
from edgevoice.synthesis.synthesizer import SynthesisContext, Synthesizer
from edgevoice_plugins.local_voice.transport import LocalVoice
from tests.support.announcements import announcement
from tests.support.caches import KEY_SCHEME
from tests.support.house import House
from tests.support.lightning import Fault
from tests.support.transports import opened

TEXT = "d400z Fire in the kitchen."
LATE = 0.05
NEVER = 1000.0


class Usual(LatencyModel):
    """Knows when an answer is late; None is to know too little."""

    def __init__(self, late):
        super().__init__()
        self.late = late

    def late_after(self, name, characters, *, warm):
        del name, characters, warm
        return self.late


@asynccontextmanager
async def synthesis_of(server, folder, *use, concurrency=2, hedging="auto", late=LATE, saved=1):
    """A synthesis over these transports, with this many further requests allowed."""
    core = CoreOptions(hedging=hedging, critical_deadline=NEVER)
    async with AsyncExitStack() as stack:
        transports = {}
        for name in use:
            if name == "local":
                context = transports[use[0]].context
                transports[name] = await stack.enter_async_context(LocalVoice(context, NoOptions()))
            else:
                transports[name] = await stack.enter_async_context(opened(name, server.url))
        means = SynthesisContext(
            transports,
            core,
            SpeechOptions(concurrency=concurrency),
            {"lightning": ConcurrencyLimiter(concurrency)},
            fault=lambda _part, _what: None,
            latency=Usual(late),
        )
        for _ in range(saved * 10):
            means.hedge_budget.earn()
        cache = Cache(folder, CacheOptions(enabled=False), KEY_SCHEME)
        synthesis = Synthesizer(means, [Route(use=use)], cache=cache, spool=lambda: Path("/var/tmp"))
        yield await stack.enter_async_context(synthesis)


async def spoken(synthesis, urgency=Urgency.CRITICAL, text=TEXT):
    """The speech of a text, when its clip has ended, and what is in it."""
    speech = synthesis.new_job(announcement(urgency, text=text))
    speech.request()
    async with asyncio.timeout(20):
        while await speech.clip.read(speech.clip.frames):
            pass
    return speech, await speech.clip.excerpt(0, speech.clip.frames)


async def test_hedge_wins_and_the_late_request_is_cancelled(lightning, tmp_path):
    lightning.plan(Fault(at=-1, silent=True), on="websocket")
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream") as synthesis:
        speech, heard = await spoken(synthesis)
        assert heard == lightning.expected(TEXT)
        assert speech.transport == "http_stream"
        assert [attempt.transport for attempt in speech.attempts] == ["websocket"]
        assert "later than usual; http_stream spoke first" in speech.attempts[0].error
        await lightning.until(lambda: lightning.requests[0].cancelled)
        assert [asked.transport for asked in lightning.requests] == ["websocket", "http_stream"]


async def test_loser_is_cancelled_while_the_winner_speaks(lightning, tmp_path):
    lightning.pace = 1.0
    lightning.plan(Fault(at=-1, silent=True), on="websocket")
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream") as synthesis:
        speech = synthesis.new_job(announcement(Urgency.CRITICAL, text="d3000z Fire in the kitchen."))
        speech.request()
        await lightning.until(lambda: len(lightning.requests) == 2 and lightning.requests[0].cancelled)
        assert speech.transport == "http_stream"
        assert not speech.clip.ended


async def test_hedge_is_cancelled_if_the_first_request_wins(lightning, tmp_path):
    lightning.plan(Fault(at=-1, stall=1.5), on="websocket")
    lightning.plan(Fault(at=-1, silent=True), on="http_stream")
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream") as synthesis:
        speech, heard = await spoken(synthesis)
        assert (speech.transport, heard) == ("websocket", lightning.expected(TEXT))
        assert [attempt.transport for attempt in speech.attempts] == ["http_stream"]
        await lightning.until(lambda: len(lightning.requests) == 2 and lightning.requests[1].cancelled)


async def test_running_hedge_survives_an_account_refusal(lightning, tmp_path):
    lightning.setup = 0.5
    lightning.plan(Fault(status=401), on="websocket")
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream", late=0.0) as synthesis:
        speech, heard = await spoken(synthesis)
        assert (speech.transport, heard) == ("http_stream", lightning.expected(TEXT))
        assert ["401" in attempt.error for attempt in speech.attempts] == [True]


async def test_winner_speaks_the_remaining_segments(lightning, tmp_path):
    text = " ".join(f"d200z Part {number}" + " and on" * 30 + "." for number in range(3))
    lightning.plan(Fault(at=-1, silent=True), on="websocket")
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream") as synthesis:
        _, heard = await spoken(synthesis, text=text)
        assert heard == lightning.expected(text)
        assert [asked.transport for asked in lightning.requests] == ["websocket"] + ["http_stream"] * 3


@pytest.mark.parametrize(
    ("why", "keys"),
    [
        ("one request at once", {"concurrency": 1}),
        ("switched off", {"hedging": False}),
        ("nothing known", {"late": None}),
        ("nothing saved", {"saved": 0}),
    ],
)
async def test_no_hedge_without_its_conditions(why, keys, lightning, tmp_path):
    lightning.plan(Fault(at=-1, stall=0.4), on="websocket")
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream", **keys) as synthesis:
        speech, heard = await spoken(synthesis)
        assert (heard, speech.attempts) == (lightning.expected(TEXT), []), why
        assert len(lightning.requests) == 1


async def test_hedging_is_for_critical_only(lightning, tmp_path):
    lightning.plan(Fault(at=-1, stall=0.4), on="websocket")
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream") as synthesis:
        speech, _ = await spoken(synthesis, Urgency.HIGH)
        assert (speech.attempts, len(lightning.requests)) == ([], 1)


async def test_hedge_revokes_no_slot(lightning, tmp_path):
    lightning.pace = 1.0
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream") as synthesis:
        other = synthesis.new_job(announcement(Urgency.LOW, id="other", text="d3000z The weather."))
        other.request()
        await lightning.until(lambda: lightning.in_flight == 1)
        lightning.plan(Fault(at=-1, stall=0.4), on="websocket")
        speech, _ = await spoken(synthesis)
        assert (speech.attempts, len(lightning.requests)) == ([], 2)
        assert not lightning.requests[0].cancelled


async def test_local_voice_hedges_without_a_free_slot(lightning, tmp_path):
    lightning.pace = 1.0
    async with synthesis_of(
        lightning, tmp_path, "websocket", "http_stream", "local", late=0.4, saved=0
    ) as synthesis:
        lightning.plan(Fault(at=-1, silent=True), on="websocket")
        speech, heard = await spoken(synthesis)
        assert speech.transport == "local"
        assert any(heard)
        await lightning.until(lambda: lightning.requests[0].cancelled)
        assert len(lightning.requests) == 1


async def test_hedge_budget_is_a_tenth_of_requests(lightning, tmp_path):
    async with synthesis_of(lightning, tmp_path, "websocket", "http_stream", late=0.0, saved=0) as synthesis:
        lightning.plan(Fault(at=-1, stall=0.02), times=float("inf"))
        for _ in range(40):
            await spoken(synthesis, text="d20z Hi.")
        assert 40 < len(lightning.requests) <= 44


async def test_hedging_starts_from_learned_latency(broker, lightning):
    account = {"base_url": lightning.url, "concurrency": 2}
    async with House(broker, lightning=account, critical_deadline=20, first_audio_timeout=20) as house:
        for number in range(20):
            # Slow enough that a busy machine does not look like a changed network, which would need 20 new answers.
            lightning.plan(Fault(at=0, stall=0.1), on="websocket")
            await house.said(f"d50z Number {number}.", transport="websocket")
        lightning.plan(Fault(at=-1, silent=True), on="websocket")
        outcome = await house.said(TEXT, urgency="critical")
        assert (outcome["event_type"], outcome["transport"]) == ("finished", "http_stream")
        assert [attempt["transport"] for attempt in outcome["attempts"]] == ["websocket"]
        assert "later than usual" in outcome["attempts"][0]["error"]
