"""A sink that sleeps and swallows the beginning: no word is lost to it, and the silence costs only what it has to."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgevoice.cli import edgevoice
from edgevoice_plugins.sound_card import lead_in
from edgevoice_plugins.sound_card.lead_in import Learned
from edgevoice_plugins.sound_card.options import Options
from edgevoice_plugins.sound_card.output import SoundCard
from tests.support.outputs import Recorder, context, in_bursts, pieces
from tests.support.pulse import Pulse, noise
from tests.support.sleepy import SleepySpeaker

RATE = 24000
WORD = noise(9600, 1)
NEXT = noise(4800, 2)


@pytest.fixture
def sleepy(monkeypatch: pytest.MonkeyPatch) -> Iterator[SleepySpeaker]:
    with SleepySpeaker(swallowed=0.3) as speaker:
        speaker.enter(monkeypatch)
        yield speaker


async def spoken(speaker: SleepySpeaker, folder: Path, options: Options) -> None:
    """Says one word to a speaker that sleeps, and another right behind it."""
    await speaker.sleeps()
    async with SoundCard(context(folder), options) as card:
        for pcm in (WORD, NEXT):
            progress = Recorder()
            await card.play(pieces(pcm), RATE, progress)
            assert progress.frames_heard == progress.frames_handed == len(pcm) // 2
    assert await speaker.hears(NEXT)


async def test_without_a_lead_in_the_first_word_is_lost(sleepy: SleepySpeaker, tmp_path: Path) -> None:
    await spoken(sleepy, tmp_path, Options())
    assert sleepy.find(WORD) is None


async def test_a_lead_in_saves_the_first_word_and_is_not_repeated_before_the_next(
    sleepy: SleepySpeaker, tmp_path: Path
) -> None:
    await spoken(sleepy, tmp_path, Options(lead_in=400))
    assert sleepy.without_silence() == WORD + NEXT
    between = sleepy.captured().partition(WORD)[2].partition(NEXT)[0]
    assert len(between) // 2 < 0.4 * RATE


async def test_after_a_sleep_it_comes_again(sleepy: SleepySpeaker, tmp_path: Path) -> None:
    async with SoundCard(context(tmp_path), Options(lead_in=400)) as card:
        for pcm in (WORD, NEXT):
            await sleepy.sleeps()
            await card.play(pieces(pcm), RATE, Recorder())
        assert await sleepy.until(lambda: sleepy.without_silence() == WORD + NEXT)


async def test_what_was_learned_of_the_device_is_used(sleepy: SleepySpeaker, tmp_path: Path) -> None:
    lead_in.save(tmp_path, "default", Learned(400, 4))
    await spoken(sleepy, tmp_path, Options())
    assert sleepy.without_silence() == WORD + NEXT


async def test_a_sink_is_known_by_what_the_sound_server_calls_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        pulse.load("module-null-sink sink_name=alsa_output.usb-Attic-00.analog-stereo")
        pulse.set_default_sink("alsa_output.usb-Attic-00.analog-stereo")
        async with SoundCard(context(tmp_path), Options()) as card:
            assert await pulse.until(lambda: card.lead_in.why == "a USB sink")
        async with SoundCard(context(tmp_path), Options(lead_in=0)) as card:
            await card.probe()
            assert card.lead_in.seconds == 0


async def test_the_silence_runs_while_the_speech_is_still_being_made_and_the_sound_follows_whole(
    sleepy: SleepySpeaker, tmp_path: Path
) -> None:
    await sleepy.sleeps()
    progress = Recorder()
    async with SoundCard(context(tmp_path), Options(lead_in=400)) as card:
        playing = asyncio.create_task(card.play(in_bursts([b"", WORD], 1.0), RATE, progress))
        await sleepy.until(lambda: len(sleepy.captured()) // 2 > RATE // 2)
        assert progress.frames_handed == 0
        await playing
    assert await sleepy.until(lambda: sleepy.without_silence() == WORD)


async def test_one_that_is_cancelled_during_the_lead_in_was_not_heard(
    sleepy: SleepySpeaker, tmp_path: Path
) -> None:
    await sleepy.sleeps()
    async with SoundCard(context(tmp_path), Options(lead_in=600)) as card:
        progress = Recorder()
        playing = asyncio.create_task(card.play(pieces(NEXT), RATE, progress))
        await asyncio.sleep(0.4)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert progress.frames_handed == progress.frames_heard == 0
        await card.play(pieces(WORD), RATE, Recorder())
    assert await sleepy.until(lambda: sleepy.without_silence() == WORD)


def configuration(folder: Path) -> str:
    file = folder / "edgevoice.yaml"
    file.write_text(f"state_dir: {folder}\nspeakers: {{kitchen: {{output: sound_card}}}}\n")
    return str(file)


def test_calibrate_finds_what_a_sleeping_speaker_swallows_and_keeps_it_for_the_daemon(
    sleepy: SleepySpeaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevoice_plugins.sound_card.calibrate.SLEEPS_S", (2, 7))
    asyncio.run(sleepy.sleeps())
    told = CliRunner().invoke(edgevoice, ["calibrate", "--config", configuration(tmp_path), "--longest", "8"])
    assert told.exit_code == 0, told.output
    rows = dict(line.split("  ", 1) for line in told.output.splitlines()[1:4])
    assert list(rows) == ["at first", "2 s", "7 s"]
    assert rows["2 s"].strip() == "nothing"
    learned = lead_in.load(tmp_path)["default"]
    assert learned.after == 2
    assert 200 <= learned.lead_in <= 500
    assert f"lead_in: {learned.lead_in}, lead_in_after: 2" in told.output


def test_calibrate_finds_that_nothing_is_swallowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        told = CliRunner().invoke(
            edgevoice,
            ["calibrate", "--config", configuration(tmp_path), "--longest", "2", "--listen", "monitor"],
        )
    assert told.exit_code == 0, told.output
    assert "No lead-in is needed" in told.output
    assert json.loads((tmp_path / lead_in.LEARNED).read_text())["default"]["lead_in"] == 0


def test_calibrate_says_what_to_do_where_nothing_is_heard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        pulse.load("module-null-sink sink_name=elsewhere")
        monkeypatch.setenv("PULSE_SOURCE", "elsewhere.monitor")
        told = CliRunner().invoke(
            edgevoice, ["calibrate", "--config", configuration(tmp_path), "--longest", "2"]
        )
    assert told.exit_code == 1
    assert "nothing of the tone was heard" in told.output
    assert "--listen" in told.output


@pytest.mark.parametrize("listen", ["attic", "monitor"])
def test_calibrate_says_what_to_connect_where_nothing_can_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listen: str
) -> None:
    (tmp_path / "asound.conf").write_text("pcm.!default { type hw card 77 }\npcm.dmix { type hw card 77 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    told = CliRunner().invoke(
        edgevoice, ["calibrate", "--config", configuration(tmp_path), "--listen", listen]
    )
    assert told.exit_code == 1
    assert "connect a microphone" in told.output


def test_calibrate_asks_which_speaker_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "edgevoice.yaml"
    file.write_text("speakers: {kitchen: {output: sound_card}, attic: {output: sound_card}}\n")
    told = CliRunner().invoke(edgevoice, ["calibrate", "--config", str(file)])
    assert told.exit_code == 2
    assert "--speaker: kitchen, attic" in told.output
