"""A clip's file holds what was written or is rejected, also after a kill during the write."""

import asyncio
import os
import signal
import sys
import textwrap

import pytest

from edgevoice.audio.clip import PcmSnapshot
from edgevoice.cache.files import ClipFiles, CorruptClipError, file_size
from tests.support.caches import NAME, OTHER, RATE, noise

AUDIO = noise(150_000)


@pytest.fixture
def folder(tmp_path):
    folder = ClipFiles(tmp_path / "cache")
    folder.write(NAME, RATE, PcmSnapshot(None, 0, AUDIO))
    return folder


def file_of(folder, name=NAME):
    return folder.path / f"{name}.clip"


def read(folder, name=NAME, rate=RATE):
    return b"".join(folder.open(name, rate).pieces())


def test_open_returns_written_bytes(folder):
    assert read(folder) == AUDIO
    assert folder.has(NAME)
    assert not folder.has(OTHER)
    assert [file.name for file in folder.path.iterdir()] == [f"{NAME}.clip"]


def test_files_are_private(folder):
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert file_of(folder).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("keep", [0, 1, 8, 30, 59, 60, 61, 62, 1000, 65_536, 150_000, -5, -4, -3, -2, -1])
def test_truncated_file_is_removed(folder, keep):
    whole = file_of(folder).read_bytes()
    file_of(folder).write_bytes(whole[:keep])
    with pytest.raises(CorruptClipError):
        read(folder)
    assert not folder.has(NAME)


@pytest.mark.parametrize("at", [*range(60), 61, 40_000, 65_595, 65_596, 150_000, -5, -4, -1])
def test_flipped_bit_is_found(folder, at):
    damaged = bytearray(file_of(folder).read_bytes())
    damaged[at] ^= 0x10
    file_of(folder).write_bytes(damaged)
    with pytest.raises(CorruptClipError):
        read(folder)
    assert not folder.has(NAME)


@pytest.mark.parametrize("foreign", [b"", b"RIFF....WAVE", bytes(100_000), noise(5000)])
def test_foreign_file_is_removed(folder, foreign):
    file_of(folder).write_bytes(foreign)
    with pytest.raises(CorruptClipError):
        read(folder)
    assert not folder.has(NAME)


def test_trailing_bytes_are_found(folder):
    with file_of(folder).open("ab") as file:
        file.write(b"x")
    with pytest.raises(CorruptClipError):
        read(folder)


def test_other_key_or_rate_is_rejected(folder):
    with pytest.raises(CorruptClipError):
        read(folder, rate=16000)
    folder.write(NAME, RATE, PcmSnapshot(None, 0, AUDIO))
    file_of(folder).rename(file_of(folder, OTHER))
    with pytest.raises(CorruptClipError):
        read(folder, OTHER)


def test_symlink_and_pipe_are_rejected(folder, tmp_path):
    file_of(folder).rename(tmp_path / "elsewhere")
    file_of(folder).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP
        read(folder)
    file_of(folder).unlink()
    os.mkfifo(file_of(folder))
    with pytest.raises(CorruptClipError):
        read(folder)


def test_scan_lists_clips_and_removes_leftovers(folder):
    os.utime(file_of(folder), (1000, 1000))
    for leftover in (f"{OTHER}.part", "older.clip", "old.part"):
        (folder.path / leftover).write_bytes(b"half")
    (folder.path / "notes.txt").write_text("not ours")
    size = file_size(PcmSnapshot(None, 0, AUDIO))
    assert folder.scan() == {NAME: (size, 1000.0)}
    assert size == file_of(folder).stat().st_size
    assert sorted(file.name for file in folder.path.iterdir()) == [f"{NAME}.clip", "notes.txt"]


def test_missing_folder_is_empty(tmp_path):
    folder = ClipFiles(tmp_path / "none")
    assert folder.scan() == {}
    assert folder.open(NAME, RATE) is None
    assert not folder.has(NAME)
    folder.remove([NAME])
    assert not folder.path.exists()


def test_open_notes_use_as_mtime(folder):
    os.utime(file_of(folder), (1000, 1000))
    read(folder)
    assert file_of(folder).stat().st_mtime > 1_000_000


def test_failed_write_leaves_no_file(folder):
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
async def test_kill_during_write_leaves_no_clip(folder, stop):
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
