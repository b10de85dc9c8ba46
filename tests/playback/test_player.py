"""The player of one item: what it reports, and how long it waits for a lost output."""

import asyncio
from types import SimpleNamespace

import pytest

from edgevoice.announcement import Urgency
from edgevoice.errors import ClipError, OutputError
from edgevoice.playback import player as module
from edgevoice.playback.player import Player
from edgevoice.scheduler import actions as act
from edgevoice.text.live import LiveText
from tests.support import virtual_time
from tests.support.announcements import NoSynthesis
from tests.support.scheduler import item

RATE = 24_000
SECOND = bytes(2 * RATE)


class FakeOutput:
    """Plays each pass of audio, `seconds` of it at most before it is lost."""

    def __init__(self, *, lost_after=None, losses=10**9, heard=True):
        self.lost_after, self.losses, self.heard = lost_after, losses, heard
        self.passes = 0
        self.audio = b""

    async def play(self, audio, rate, progress):
        self.passes += 1
        frames = 0
        async for pcm in audio:
            frames += len(pcm) // 2
            self.audio += pcm
            progress.written(frames)
            if self.lost_after is not None and self.passes <= self.losses:
                await asyncio.sleep(self.lost_after)
                if self.heard:
                    progress.played(min(frames, round(self.lost_after * rate)))
                raise OutputError("lost")
        await asyncio.sleep(frames / rate)
        progress.played(frames)


def playing(output, *, seconds=5.0, error=None, play=None, chime=b"", **more):
    one = item(**more)
    job = NoSynthesis().new_job(one.announcement)
    reports, faults = [], []
    settings = {"from_s": 0.0, "resume_not_before_s": None, "chime": None, "volume": 100, "deadline": None}
    chimes = SimpleNamespace(is_loaded=lambda *_: True, sound=lambda *_: chime, tone=lambda _: SECOND)
    player = Player(
        act.Play(one, **{**settings, **(play or {})}),
        job,
        output,
        chimes,
        report=reports.append,
        fault=faults.append,
    )

    async def run():
        if seconds:
            await job.clip.append(b"\1\0" * round(seconds * RATE))
        if one.announcement.live is None:
            job.clip.finish(error)
        await player.run()

    return SimpleNamespace(player=player, run=run, reports=reports, faults=faults, job=job)


def kinds(reports):
    return [type(report).__name__ for report in reports]


def test_player_reports_written_and_played_frames():
    one = playing(FakeOutput(), seconds=2.0)
    virtual_time.run(one.run())
    assert kinds(one.reports)[:2] == ["SpeechStarted", "Started"]
    assert one.reports[-1] == act.Progressed(one.reports[-1].item, 2.0, 0.0)
    assert one.faults == [None]


def test_a_chime_is_not_speech_and_counts_for_nothing():
    output = FakeOutput()
    one = playing(output, seconds=1.0, play={"chime": "ding"}, chime=SECOND)
    virtual_time.run(one.run())
    assert kinds(one.reports)[:2] == ["Started", "SpeechStarted"]
    assert one.reports[-1].position_s == 1.0
    assert len(output.audio) == 2 * len(SECOND)


def test_a_lost_output_is_opened_again_and_continues_where_it_was():
    output = FakeOutput(lost_after=0.25, losses=2)
    one = playing(output, seconds=2.0)
    virtual_time.run(one.run())
    assert output.passes == 3
    assert one.faults == ["lost", "lost", None]
    assert one.reports[-1].position_s == 2.0


@pytest.mark.parametrize("heard", [True, False])
def test_an_output_that_is_lost_again_and_again_is_given_up_after_the_ttl_of_silence_in_all(heard):
    """Defect 9.5: each new sound renewed the limit, so that it was tried forever."""
    output = FakeOutput(lost_after=0.1, heard=heard)
    one = playing(output, seconds=5.0, ttl=10)

    async def main():
        began = asyncio.get_running_loop().time()
        with pytest.raises(OutputError):
            await one.run()
        return asyncio.get_running_loop().time() - began

    lasted = virtual_time.run(main())
    assert lasted <= 10 + output.passes * 0.1 + 1
    assert output.passes <= 12


def test_an_output_that_never_sounded_is_given_up_at_the_deadline():
    class Silent:
        async def play(self, audio, rate, progress):
            raise OutputError("no device")

    one = playing(Silent(), play={"deadline": 5.0}, ttl=600)

    async def main():
        offset = asyncio.get_running_loop().time()
        one.player._play = act.Play(one.player._item, 0.0, None, None, 100, offset + 5.0)
        with pytest.raises(OutputError):
            await one.run()
        return asyncio.get_running_loop().time() - offset

    assert 4.0 <= virtual_time.run(main()) <= 5.0


def test_audio_before_a_clip_error_is_played():
    one = playing(FakeOutput(), seconds=1.0, error=ClipError("no transport spoke"))

    async def main():
        with pytest.raises(ClipError):
            await one.run()

    virtual_time.run(main())
    assert one.reports[-1].position_s == 1.0


@pytest.mark.parametrize(("urgency", "sounds"), [(Urgency.CRITICAL, True), (Urgency.HIGH, False)])
async def test_a_critical_one_that_cannot_be_spoken_is_at_least_a_tone(urgency, sounds):
    output = FakeOutput()
    one = playing(output, seconds=0.0, error=ClipError("no transport spoke"), urgency=urgency)
    with pytest.raises(ClipError):
        await one.run()
    assert (output.audio == SECOND) is sounds
    assert "SpeechStarted" not in kinds(one.reports)


async def test_player_applies_the_volume():
    output = FakeOutput()
    one = playing(output, seconds=0.1, play={"volume": 0})
    await one.run()
    assert not any(output.audio)


async def test_player_resumes_from_the_last_pause():
    one = playing(FakeOutput(), seconds=1.0, play={"from_s": 0.8, "resume_not_before_s": 0.0})
    await one.run()
    assert one.reports[0] == act.Resumed(one.reports[0].item, 0.0)


def test_live_text_that_falls_silent_is_reported_and_can_be_parked():
    live = LiveText()
    live.add("Hello.")
    one = playing(FakeOutput(), seconds=1.0, live=live)

    async def main():
        task = asyncio.create_task(one.run())
        await asyncio.sleep(module.LIVE_IDLE_S + 1.5)
        assert "Starved" in kinds(one.reports)
        assert not task.done()
        one.player.park()
        await task

    virtual_time.run(main())
    assert one.reports[-1].position_s == 1.0


def test_live_text_that_goes_on_is_reported():
    live = LiveText()
    live.add("Hello.")
    one = playing(FakeOutput(), seconds=1.0, live=live)

    async def main():
        task = asyncio.create_task(one.run())
        await asyncio.sleep(module.LIVE_IDLE_S + 1.5)
        await one.job.clip.append(SECOND)
        one.job.clip.finish()
        await task

    virtual_time.run(main())
    found = kinds(one.reports)
    assert found.index("Starved") < found.index("Refilled")
    assert one.reports[-1].position_s == 2.0
