"""The output `wav_file`: what is in the file, at any moment, and what `Progress` is told."""

import asyncio
import os
import subprocess
import sys
import threading
import time
import tracemalloc
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soxr

from edgevoice import OutputError
from edgevoice_plugins.wav_file import Options, WavFile
from tests.support.outputs import Recorder, context, in_bursts, pieces
from tests.support.pulse import noise

RATE = 24000
SetUp = Callable[..., WavFile]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spoken.wav"


@pytest.fixture
def set_up(path: Path, tmp_path: Path) -> SetUp:
    """Return a function that makes a `wav_file` at `path`, by default not paced."""

    def set_up(**options: object) -> WavFile:
        given = {"path": str(path), "pace": False, **options}
        return WavFile(context(tmp_path), msgspec.convert(given, Options))

    return set_up


def content(path: Path, rate: int = RATE) -> bytes:
    """Check that a file is valid to its last byte; return its audio."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
        pcm = file.readframes(file.getnframes())
        assert path.stat().st_size == 44 + len(pcm)
        assert int.from_bytes(path.read_bytes()[4:8], "little") == path.stat().st_size - 8
        return pcm


async def test_announcements_are_appended_byte_for_byte(set_up: SetUp, path: Path) -> None:
    spoken = [noise(frames, frames) for frames in (5001, 1, 0, 24000)]
    async with set_up() as output:
        for number, pcm in enumerate(spoken):
            progress = Recorder()
            await output.play(pieces(pcm), RATE, progress)
            assert content(path) == b"".join(spoken[: number + 1])
            assert progress.frames_heard == progress.frames_handed == len(pcm) // 2


async def test_appends_after_restart(set_up: SetUp, path: Path) -> None:
    one, two = noise(700, 1), noise(900, 2)
    for pcm in (one, two):
        async with set_up() as output:
            await output.probe()
            await output.play(pieces(pcm), RATE, Recorder())
    assert content(path) == one + two


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
async def test_resampling_equals_soxr(set_up: SetUp, path: Path, rate: int) -> None:
    pcm = noise(rate + 1)
    progress = Recorder()
    async with set_up() as output:
        await output.play(pieces(pcm), rate, progress)
    once = soxr.resample(np.frombuffer(pcm, np.int16), rate, RATE)
    made = np.frombuffer(content(path), np.int16)
    assert len(made) == len(once)
    assert np.abs(made.astype(int) - once).max() <= 1
    assert progress.frames_heard == rate + 1


async def test_gap_in_audio_is_not_written(set_up: SetUp, path: Path) -> None:
    bursts = [noise(2400, 1), noise(30, 2), noise(2400, 3)]
    async with set_up(pace=True) as output:
        await output.play(in_bursts(bursts, 0.1), RATE, Recorder())
    assert content(path) == b"".join(bursts)


async def test_cancelled_while_paced_keeps_played_audio(set_up: SetUp, path: Path) -> None:
    pcm, following = noise(10 * RATE, 1), noise(500, 2)
    progress = Recorder()
    async with set_up(pace=True) as output:
        playing = asyncio.create_task(output.play(pieces(pcm), RATE, progress))
        await progress.first_handed.wait()
        await asyncio.sleep(0.3)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert playing.cancelled()
        assert 0 < progress.frames_heard < RATE
        assert content(path) == pcm[: progress.frames_heard * 2]
        await output.play(pieces(following), RATE, Recorder())
    assert content(path) == pcm[: progress.frames_heard * 2] + following


async def test_cancelled_during_write_matches_progress(set_up: SetUp, path: Path) -> None:
    pcm = noise(20 * RATE)
    for turns in range(1, 12):
        path.unlink(missing_ok=True)
        progress = Recorder()
        async with set_up() as output:
            playing = asyncio.create_task(output.play(pieces(pcm, largest=40000), RATE, progress))
            await progress.first_handed.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        assert content(path) == pcm[: progress.frames_heard * 2]


async def test_memory_is_bounded(set_up: SetUp, path: Path) -> None:
    async def minutes(number: int) -> AsyncIterator[bytes]:
        for _ in range(number * 20):
            yield bytes(3 * 2 * RATE)

    async with set_up() as output:
        await output.play(minutes(1), RATE, Recorder())
        tracemalloc.start()
        await output.play(minutes(20), RATE, Recorder())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(content(path)) == 21 * 60 * 2 * RATE
    assert peak < 2**20


KILLED = """
import asyncio, sys
from pathlib import Path
from edgevoice_plugins.wav_file import Options, WavFile
from tests.support.outputs import Recorder, context, pieces
from tests.support.pulse import noise

async def main():
    output = WavFile(context(Path(".")), Options(path=sys.argv[1], pace=True))
    await output.play(pieces(noise(2400, 1)), 24000, Recorder())
    print("said one", flush=True)
    await output.play(pieces(noise(240000, 2)), 24000, Recorder())

asyncio.run(main())
"""


@pytest.mark.parametrize("grown", [0, 5000])
async def test_killed_process_leaves_valid_file(set_up: SetUp, path: Path, grown: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"said one\n"
        while path.stat().st_size < 44 + 4800 + grown:
            await asyncio.sleep(0.005)
        process.kill()
    left = content(path)
    assert (noise(2400, 1) + noise(240000, 2)).startswith(left)
    assert len(left) >= 4800 + grown
    async with set_up() as output:
        await output.play(pieces(noise(50)), RATE, Recorder())
    assert content(path) == left + noise(50)


async def test_data_behind_audio_is_discarded(set_up: SetUp, path: Path) -> None:
    async with set_up() as output:
        await output.play(pieces(noise(100)), RATE, Recorder())
        with path.open("ab") as file:
            file.write(b"half of something" * 100)
        await output.play(pieces(noise(200)), RATE, Recorder())
    assert content(path) == noise(100) + noise(200)


async def test_file_with_other_chunks_is_appended_to(set_up: SetUp, path: Path) -> None:
    async with set_up() as output:
        await output.play(pieces(noise(100)), RATE, Recorder())
        plain = path.read_bytes()
        path.write_bytes(plain[:36] + b"LIST\x03\x00\x00\x00abc\x00" + plain[36:])
        await output.play(pieces(noise(200)), RATE, Recorder())
    with wave.open(str(path)) as file:
        assert file.readframes(file.getnframes()) == noise(100) + noise(200)


async def test_moved_file_is_created_again(set_up: SetUp, path: Path) -> None:
    async with set_up() as output:
        await output.play(pieces(noise(100)), RATE, Recorder())
        path.rename(path.with_suffix(".old"))
        await output.play(pieces(noise(200)), RATE, Recorder())
    assert content(path.with_suffix(".old")) == noise(100)
    assert content(path) == noise(200)


async def test_other_files_are_refused_and_unchanged(set_up: SetUp, path: Path) -> None:
    async with set_up(sample_rate=48000) as output:
        await output.play(pieces(noise(100)), RATE, Recorder())
    wav = path.read_bytes()
    for kind in (b"a letter to my aunt", b"\0", wav, wav[:30], wav[:20] + b"\x03" + wav[21:]):
        path.write_bytes(kind)
        async with set_up() as output:
            with pytest.raises(OutputError, match=r"spoken\.wav: .*`path`"):
                await output.probe()
            with pytest.raises(OutputError):
                await output.play(pieces(noise(10)), RATE, Recorder())
        assert path.read_bytes() == kind


async def test_unwritable_path_is_an_output_error(set_up: SetUp, tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "none" / "a.wav", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (Path("/dev/null"), "not a file"),
    ):
        async with set_up(path=str(path)) as output:
            with pytest.raises(OutputError, match=why):
                await output.probe()


async def test_file_of_4_gib_is_full(set_up: SetUp, path: Path) -> None:
    progress = Recorder()
    async with set_up() as output:
        await output.play(pieces(noise(100)), RATE, Recorder())
        with path.open("r+b") as file:
            file.truncate(0xFFFFFFFF - 2000)
            file.seek(40)
            file.write((0xFFFFFFFF - 2043).to_bytes(4, "little"))
        with pytest.raises(OutputError, match="4 GiB"):
            await output.play(pieces(noise(4000), largest=100), RATE, progress)
    assert progress.frames_heard < 1000


async def test_second_writer_is_refused(set_up: SetUp, path: Path) -> None:
    progress = Recorder()
    async with set_up(pace=True) as output, set_up() as other:
        playing = asyncio.create_task(output.play(pieces(noise(4800)), RATE, progress))
        await progress.first_handed.wait()
        with pytest.raises(OutputError, match="another speaker"):
            await other.play(pieces(noise(100)), RATE, Recorder())
        await playing
    assert content(path) == noise(4800)


async def test_hung_disk_does_not_block_the_event_loop(
    set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A disk that hangs cannot be made on demand.
    release, pwrite = threading.Event(), os.pwrite
    async with set_up() as output:
        await output.play(pieces(noise(100)), RATE, Recorder())
        monkeypatch.setattr(os, "pwrite", lambda *given: release.wait(10) and pwrite(*given))
        playing = asyncio.create_task(output.play(pieces(noise(100)), RATE, Recorder()))
        started = time.monotonic()
        await asyncio.sleep(0.1)
        assert time.monotonic() - started < 5
        assert not playing.done()
        release.set()
        await playing
