"""The helpers for authors: contexts, clocks, and one function to drive each kind of plugin."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from edgevoice import ConfigError, Say, Source, TransportError
from edgevoice.testing import (
    FakeClock,
    RecordingProgress,
    TestDaemon,
    ToneTransport,
    context,
    make,
    run_source,
    synthesize,
    tone,
)


class Options(msgspec.Struct, forbid_unknown_fields=True):
    text: str = "ding"


class Bell(Source):
    options = Options

    async def listen(self, submit):
        await self.context.ready.wait()
        while True:
            submit(Say(target="kitchen", payload=self.config.text.encode()))
            await asyncio.sleep(0.01)


def test_make_checks_options(tmp_path):
    assert make(Bell, context(tmp_path), text="dong").config.text == "dong"
    with pytest.raises(ConfigError, match="txet"):
        make(Bell, context(tmp_path), txet="dong")


def test_fake_clock_advances_both_times():
    clock = FakeClock()
    now, monotonic = clock.now(), clock.monotonic()
    clock.advance(90)
    assert clock.now() - now == timedelta(seconds=90)
    assert clock.monotonic() - monotonic == 90
    assert now.tzinfo is not None


async def test_run_source_returns_the_commands(edgevoice_context):
    edgevoice_context.ready.set()
    commands = await run_source(make(Bell, edgevoice_context), lambda commands: len(commands) == 3)
    assert [command.payload for command in commands] == [b"ding"] * 3


async def test_run_source_tells_what_came_in_time(edgevoice_context):
    with pytest.raises(AssertionError, match="not within"):
        await run_source(make(Bell, edgevoice_context), bool, timeout_s=0.1)


async def test_synthesize_returns_all_audio(edgevoice_context):
    pcm = await synthesize(ToneTransport(edgevoice_context, None), "two words")
    assert pcm == tone(0.05) * 2


def test_recording_progress_refuses_the_impossible():
    progress = RecordingProgress()
    progress.offered_frames = 10
    progress.written(5)
    for impossible in (lambda: progress.written(4), lambda: progress.played(6), lambda: progress.written(11)):
        with pytest.raises(AssertionError):
            impossible()


# ---- the daemon ----


class Voice(ToneTransport):
    role = ToneTransport.role.PRIMARY

    async def synthesize(self, request):
        if "fail" in request.text:
            raise TransportError("no voice")
        yield tone(0.2, request.sample_rate)


async def test_daemon_runs_a_transport(edgevoice_daemon):
    async with edgevoice_daemon({"my_voice": Voice}, routes=[{"use": ["my_voice", "local"]}]) as daemon:
        event = await daemon.say("Tea is ready.")
        assert (event.event_type, event.transport) == ("finished", "my_voice")
        assert daemon.wav() == tone(0.2)
        event = await daemon.say("This will fail.")
        assert event.transport in {"tone", "local"}
        assert event.attempts[0].transport == "my_voice"


async def test_daemon_runs_a_source(tmp_path):
    async with TestDaemon(tmp_path, {"bell": Bell}, bell={"text": ""}) as daemon:
        async with asyncio.timeout(10):
            while not daemon.rejections:
                await asyncio.sleep(0.01)
        assert daemon.rejections[0].reason == "blank"


async def test_private_text_takes_the_fallback(edgevoice_daemon):
    async with edgevoice_daemon({"my_voice": Voice}, routes=[{"use": ["my_voice"]}]) as daemon:
        event = await daemon.say("The code is 1234.", private=True)
        assert event.event_type == "finished"
        assert event.transport != "my_voice"


def test_daemon_refuses_a_wrong_configuration(tmp_path):
    with pytest.raises(ConfigError, match=r"speakers\.kitchen"):
        TestDaemon(tmp_path, speakers={"kitchen": {"output": "no_such_output"}})
