"""The race of transports for a segment, where a clean-up hangs or no slot comes free."""

import asyncio
import contextlib

import pytest

from edgevoice import SpeechOptions, Urgency
from edgevoice.announcement import Priority
from edgevoice.cache.cache import Cache
from edgevoice.config.options import CacheOptions, CoreOptions, Route
from edgevoice.plugin import Role, Transport
from edgevoice.synthesis.concurrency import ConcurrencyLimiter
from edgevoice.synthesis.race import Race
from edgevoice.synthesis.synthesizer import SynthesisContext, Synthesizer, Timeouts
from tests.support.announcements import announcement
from tests.support.caches import KEY_SCHEME

AUDIO = bytes(2 * 2400)


class Hanging(Transport):
    """Its first request never ends, not even when it is cancelled; the others speak at once."""

    account = "acme"

    def __init__(self) -> None:
        self.requests = 0
        self.end = asyncio.Event()

    async def synthesize(self, request):
        self.requests += 1
        if self.requests == 1:
            while not self.end.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.end.wait()
        yield AUDIO


@contextlib.asynccontextmanager
async def synthesizer_of(transport, folder, timeouts):
    limiter = ConcurrencyLimiter(1, release_timeout_s=0.05)
    context = SynthesisContext(
        {"acme": transport},
        CoreOptions(),
        SpeechOptions(),
        {"acme": limiter},
        lambda _account, _problem: None,
        timeouts=timeouts,
    )
    cache = Cache(folder, CacheOptions(enabled=False), KEY_SCHEME)
    async with Synthesizer(context, [Route(use=("acme",))], cache=cache, spool=lambda: folder) as synthesizer:
        try:
            yield synthesizer
        finally:
            transport.end.set()


async def begun(synthesizer, transport):
    job = synthesizer.new_job(announcement())
    job.join()
    job.request(priority=Priority.PREFETCH)
    while not transport.requests:
        await asyncio.sleep(0)
    return job


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "preempted"])
async def test_hanging_clean_up_does_not_keep_the_slot(is_cancelled, tmp_path):
    transport = Hanging()
    async with synthesizer_of(transport, tmp_path, Timeouts(cancel_s=0.05)) as synthesizer:
        hanging = await begun(synthesizer, transport)
        if is_cancelled:
            hanging.leave()
        job = synthesizer.new_job(announcement(id="a2"))
        job.request()
        async with asyncio.timeout(3):
            await job.clip.wait_end()
        assert job.clip.frames == len(AUDIO) // 2


async def test_request_does_not_wait_for_a_slot_without_a_limit(tmp_path):
    transport = Hanging()
    async with synthesizer_of(transport, tmp_path, Timeouts(slot_s=0.1)) as synthesizer:
        await begun(synthesizer, transport)
        job = synthesizer.new_job(announcement(id="a2"))
        job.request(priority=Priority.PREFETCH)
        async with asyncio.timeout(3):
            while not job.clip.ended:
                await asyncio.sleep(0.01)
        assert "no slot" in str(job.clip.error)


class Slow(Transport):
    """Speaks a little at once, and the rest never."""

    async def synthesize(self, request):
        yield AUDIO
        await asyncio.Event().wait()


async def test_raised_priority_shortens_the_stall_timeout_of_a_running_request(tmp_path):
    context = SynthesisContext(
        {"acme": Slow(None, None), "other": Slow(None, None)},
        CoreOptions(critical_deadline=0.1),
        SpeechOptions(),
        {},
        lambda _account, _problem: None,
    )
    cache = Cache(tmp_path, CacheOptions(enabled=False), KEY_SCHEME)
    routes = [Route(use=("acme", "other"))]
    async with Synthesizer(context, routes, cache=cache, spool=lambda: tmp_path) as synthesizer:
        job = synthesizer.new_job(announcement(Urgency.CRITICAL, text="Fire. Leave the house."))
        job.request(priority=Priority.PREFETCH)
        async with asyncio.timeout(3):
            await job.clip.wait_past(0)
        await asyncio.sleep(0.3)
        assert not job.attempts
        job.request()
        async with asyncio.timeout(3):
            while not job.attempts:
                await asyncio.sleep(0.01)
        assert "no more audio" in job.attempts[0].error


async def test_hanging_clean_up_frees_the_slot_for_a_request_of_the_same_priority(tmp_path):
    """Defect 9.20: nothing more urgent takes the slot away, so the cancelled request itself has to let go."""
    transport = Hanging()
    async with synthesizer_of(transport, tmp_path, Timeouts(cancel_s=0.05)) as synthesizer:
        hanging = await begun(synthesizer, transport)
        hanging.leave()
        job = synthesizer.new_job(announcement(id="a2"))
        job.request(priority=Priority.PREFETCH)
        async with asyncio.timeout(3):
            await job.clip.wait_end()
        assert job.clip.frames == len(AUDIO) // 2


class Stubborn(Transport):
    """It delivers audio only after it was cancelled."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()

    async def synthesize(self, request):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        try:
            yield b"\1\1" * 2400
        finally:
            self.is_over.set()


class Standby(Transport):
    """It speaks on only when the other transport has ended."""

    role = Role.FALLBACK

    def __init__(self, other: Stubborn) -> None:
        self.other = other

    async def synthesize(self, request):
        yield AUDIO
        await self.other.is_over.wait()
        yield AUDIO


@contextlib.asynccontextmanager
async def critical_job(transports, folder, *, deadline_s, cache=Cache):
    """Yield the job of a critical announcement that was requested; the block has 5 s."""
    context = SynthesisContext(
        transports,
        CoreOptions(critical_deadline=deadline_s),
        SpeechOptions(),
        {},
        lambda _account, _problem: None,
    )
    clips = cache(folder, CacheOptions(enabled=False), KEY_SCHEME)
    routes = [Route(use=tuple(transports))]
    async with (
        Synthesizer(context, routes, cache=clips, spool=lambda: folder) as synthesizer,
        asyncio.timeout(5),
    ):
        job = synthesizer.new_job(announcement(urgency=Urgency.CRITICAL))
        job.join()
        job.request()
        yield job


async def test_loser_that_ignores_its_cancellation_is_not_heard(tmp_path):
    stubborn = Stubborn()
    transports = {"stubborn": stubborn, "standby": Standby(stubborn)}
    async with critical_job(transports, tmp_path, deadline_s=0.05) as job:
        await job.clip.wait_end()
        assert await job.clip.excerpt(0, job.clip.frames) == AUDIO * 2


class SlowCache(Cache):
    """It takes its time, so that the deadline of the segment is over before that of the request."""

    async def load_into(self, clip, key, *, counts=True):
        await asyncio.sleep(0.02)
        return False


class Tardy(Transport):
    """Its first audio arrives when `arrives` is set."""

    def __init__(self) -> None:
        self.arrives = asyncio.Event()

    async def synthesize(self, request):
        await self.arrives.wait()
        for _ in range(5):
            yield AUDIO
            await asyncio.sleep(0.01)


async def test_audio_at_the_moment_of_giving_up_does_not_count_as_the_whole(tmp_path, monkeypatch):
    tardy = Tardy()
    give_up = Race._give_up

    def give_up_as_audio_arrives(race):
        tardy.arrives.set()  # its task wakes before the race cancels it
        give_up(race)

    monkeypatch.setattr(Race, "_give_up", give_up_as_audio_arrives)
    transports = {"tardy": tardy, "silent": Tardy()}
    async with critical_job(transports, tmp_path, deadline_s=0.2, cache=SlowCache) as job:
        while not job.clip.ended:
            await asyncio.sleep(0.01)
        assert "no transport spoke" in str(job.clip.error)
        assert job.clip.frames == 0
