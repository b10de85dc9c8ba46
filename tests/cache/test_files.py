"""A cached clip is what was written, or it is not there: whatever lies in its file, and whoever was killed."""

import asyncio
import os
import signal
import sys
import textwrap

import pytest

from edgevoice.audio.clip import PcmSnapshot
from edgevoice.cache.files import ClipFiles, CorruptClipError, size_on_disk
from tests.support.caches import NAME, OTHER, RATE, noise

AUDIO = noise(150_000)


@pytest.fixture
def folder(tmp_path):
    folder = ClipFiles(tmp_path / "cache")
    folder.write(NAME, RATE, PcmSnapshot(None, 0, AUDIO))
    return folder


def file_of(folder, name=NAME):
    return folder.path / f"{name}.clip"


def read(folder, name=NAME, rate=RATE, **how):
    return b"".join(folder.open(name, rate, **how).pieces())


def test_what_was_written_is_read_byte_for_byte(folder):
    assert read(folder) == AUDIO
    assert folder.has(NAME)
    assert not folder.has(OTHER)
    assert [file.name for file in folder.path.iterdir()] == [f"{NAME}.clip"]


def test_nobody_else_may_look_into_it(folder):
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert file_of(folder).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("keep", [0, 1, 8, 30, 59, 60, 61, 62, 1000, 65_536, 150_000, -5, -4, -3, -2, -1])
def test_a_file_that_was_cut_short_anywhere_is_thrown_away(folder, keep):
    whole = file_of(folder).read_bytes()
    file_of(folder).write_bytes(whole[:keep])
    with pytest.raises(CorruptClipError):
        read(folder)
    assert not folder.has(NAME)


@pytest.mark.parametrize("at", [*range(60), 61, 40_000, 65_595, 65_596, 150_000, -5, -4, -1])
def test_a_file_with_a_changed_byte_anywhere_is_thrown_away(folder, at):
    damaged = bytearray(file_of(folder).read_bytes())
    damaged[at] ^= 0x10
    file_of(folder).write_bytes(damaged)
    with pytest.raises(CorruptClipError):
        read(folder)
    assert not folder.has(NAME)


@pytest.mark.parametrize("foreign", [b"", b"RIFF....WAVE", bytes(100_000), noise(5000)])
def test_a_file_of_something_else_is_thrown_away(folder, foreign):
    file_of(folder).write_bytes(foreign)
    with pytest.raises(CorruptClipError):
        read(folder)
    assert not folder.has(NAME)


def test_a_file_with_more_behind_its_end_is_thrown_away(folder):
    with file_of(folder).open("ab") as file:
        file.write(b"x")
    with pytest.raises(CorruptClipError):
        read(folder)


def test_a_clip_under_the_name_or_the_rate_of_another_is_not_served(folder):
    with pytest.raises(CorruptClipError):
        read(folder, rate=16000)
    folder.write(NAME, RATE, PcmSnapshot(None, 0, AUDIO))
    file_of(folder).rename(file_of(folder, OTHER))
    with pytest.raises(CorruptClipError):
        read(folder, OTHER)


def test_a_link_is_not_followed_and_a_pipe_not_waited_for(folder, tmp_path):
    file_of(folder).rename(tmp_path / "elsewhere")
    file_of(folder).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        read(folder)
    file_of(folder).unlink()
    os.mkfifo(file_of(folder))
    with pytest.raises(CorruptClipError):
        read(folder)


def test_at_start_clips_are_known_by_size_and_last_use_and_leftovers_are_removed(folder):
    os.utime(file_of(folder), (1000, 1000))
    for leftover in (f"{OTHER}.part", "older.clip", "old.part"):
        (folder.path / leftover).write_bytes(b"half")
    (folder.path / "notes.txt").write_text("not ours")
    size = size_on_disk(PcmSnapshot(None, 0, AUDIO))
    assert folder.scan() == {NAME: (size, 1000.0)}
    assert size >= file_of(folder).stat().st_size
    assert sorted(file.name for file in folder.path.iterdir()) == [f"{NAME}.clip", "notes.txt"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    folder = ClipFiles(tmp_path / "none")
    assert folder.scan() == {}
    assert not folder.has(NAME)
    folder.remove([NAME])
    assert not folder.path.exists()


def test_a_use_is_noted_only_when_it_is_to_be(folder):
    os.utime(file_of(folder), (1000, 1000))
    read(folder)
    assert file_of(folder).stat().st_mtime == 1000
    read(folder, note_use=True)
    assert file_of(folder).stat().st_mtime > 1_000_000


def test_what_cannot_be_read_back_leaves_nothing_behind(folder):
    with pytest.raises(OSError, match="read back"):
        folder.write(OTHER, RATE, PcmSnapshot(folder.open(NAME, RATE).file, 200_000))
    assert [file.name for file in folder.path.iterdir()] == [f"{NAME}.clip"]


KILLED = """
    import sys, time
    from pathlib import Path
    from edgevoice.cache.files import ClipFiles
    from edgevoice.audio.clip import PcmSnapshot

    class Slow(PcmSnapshot):
        def pieces(self):
            for start in range(0, len(self.tail), 10_000):
                yield self.tail[start : start + 10_000]
                if start == {stop}:
                    print("half", flush=True)
                    time.sleep(60)

    ClipFiles(Path(sys.argv[1])).write("{name}", 24000, Slow(None, 0, bytes(200_000)))
"""


@pytest.mark.parametrize("stop", [0, 100_000, 190_000])
async def test_who_is_killed_while_it_writes_leaves_no_clip(folder, stop):
    script = textwrap.dedent(KILLED.format(stop=stop, name=OTHER))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(folder.path)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    assert (folder.path / f"{OTHER}.part").exists()
    assert not folder.has(OTHER)
    assert set(folder.scan()) == {NAME}
    assert [file.name for file in folder.path.iterdir()] == [f"{NAME}.clip"]
