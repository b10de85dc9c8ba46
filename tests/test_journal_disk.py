"""The journal on a disk that is full, fails, or cannot be written: a fault, and it goes on in memory."""

import asyncio
import contextlib
import errno
import resource
import subprocess
from pathlib import Path

import pytest

from edgevoice import Urgency
from edgevoice.journal import writer as journal_writer
from edgevoice.journal.file import JournalFile
from tests.support.journals import Rig, ids, kept, outcome

HIGH, NORMAL = Urgency.HIGH, Urgency.NORMAL


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


@contextlib.contextmanager
def tmpfs(folder, options):
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=False, capture_output=True
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


class SmallDisk:
    """A megabyte that can be filled to its last byte, or what a limit on the size of files makes of it."""

    def __init__(self, folder, *, mounted):
        self.folder, self._mounted = folder, mounted
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self):
        if not self._mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, self._limits[1]))
            return
        for step in (4096, 1):
            filler = (self.folder / "filler").open("ab", buffering=0)
            with filler, contextlib.suppress(OSError):
                while filler.write(b"x" * step) == step:
                    pass

    def free(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        (self.folder / "filler").unlink(missing_ok=True)


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request, tmp_path):
    with tmpfs(tmp_path / "small", "size=1m") if request.param == "tmpfs" else _folder(tmp_path) as mounted:
        disk = SmallDisk(tmp_path / "small", mounted=mounted)
        yield disk
        disk.free()


@contextlib.contextmanager
def _folder(parent):
    (parent / "small").mkdir()
    yield False


async def until_no_fault(faults):
    async with asyncio.timeout(30):
        while faults.now is not None:
            await asyncio.sleep(0.005)


async def test_with_a_full_disk_it_goes_on_in_memory_and_writes_it_later(rig, disk, monkeypatch):
    monkeypatch.setattr(journal_writer, "RETRY", 0.02)
    async with rig.enter(disk.folder) as told:
        await told.accept(kept("before"))
        disk.fill()
        for number in range(60):
            await told.accept(kept(f"full{number}", payload=b"x" * 500))
        told.end("kitchen", "full0", HIGH, outcome("full0"))
        await told.written()
        assert rig.faults.now is not None
        assert "journal.jsonl" in rig.faults.now
        assert not (disk.folder / "journal.new").exists()
        assert len(told.pending) == 60
        disk.free()
        await until_no_fault(rig.faults)
        await told.accept(kept("after"))
        expected = ids(told)
    async with rig.enter(disk.folder) as again:
        assert ids(again) == expected == ["before", *(f"full{number}" for number in range(1, 60)), "after"]
        assert rig.faults.now is None


async def test_it_starts_on_a_full_disk_whatever_lies_there(rig, disk, monkeypatch):
    monkeypatch.setattr(journal_writer, "RETRY", 0.02)
    async with rig.enter(disk.folder) as told:
        await told.accept(kept("a"))
        await told.accept(kept("b"))
    file = disk.folder / "journal.jsonl"
    whole = file.read_bytes()
    for cut in (len(whole), len(whole) - 20):
        file.write_bytes(whole[:cut])
        disk.fill()
        async with rig.enter(disk.folder) as after:
            await after.accept(kept("c", payload=b"x" * 5000))
            assert rig.faults.now is not None
            assert ids(after) == (["a", "b", "c"] if cut == len(whole) else ["a", "c"])
        disk.free()
    async with rig.enter(disk.folder) as again:
        assert ids(again)[0] == "a"


async def test_leaving_it_writes_what_a_full_disk_kept_back(rig, disk):
    async with rig.enter(disk.folder) as told:
        disk.fill()
        await told.accept(kept("a", payload=b"x" * 5000))
        assert rig.faults.now is not None
        disk.free()
    async with rig.enter(disk.folder) as again:
        assert ids(again) == ["a"]


async def test_a_failed_sync_is_made_good_by_writing_all_anew(rig, tmp_path, monkeypatch):
    sync, failures = JournalFile.sync, [OSError(errno.EIO, "Input/output error")]

    def failing(self):
        if failures:
            raise failures.pop()
        sync(self)

    monkeypatch.setattr(JournalFile, "sync", failing)
    async with rig.enter() as told:
        inode = (tmp_path / "journal.jsonl").stat().st_ino
        await told.accept(kept("a"))
        assert rig.faults[-1] is None
        assert "Input/output error" in rig.faults[-2]
        assert (tmp_path / "journal.jsonl").stat().st_ino != inode


async def test_a_file_that_is_deleted_meanwhile_is_written_anew(rig, tmp_path):
    async with rig.enter() as told:
        await told.accept(kept("a"))
        (tmp_path / "journal.jsonl").unlink()
        await told.accept(kept("b"))
        assert rig.faults.now is None
    async with rig.enter() as again:
        assert ids(again) == ["a", "b"]


async def test_a_folder_that_cannot_be_written_is_read_and_a_fault(rig, tmp_path, request):
    folder = tmp_path / "fixed"
    with tmpfs(folder, "size=1m") as mounted:
        async with rig.enter(folder) as told:
            await told.accept(kept("a"))
        if mounted:
            remount(folder, "ro")
        else:
            request.addfinalizer(SmallDisk(folder, mounted=False).free)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        async with rig.enter(folder) as after:
            assert ids(after) == ["a"]
            await after.accept(kept("b"))
            after.end("kitchen", "a", HIGH, outcome("a"))
            after.switch("kitchen", volume=3)
            assert ids(after) == ["b"]
            assert rig.faults.now is not None


@pytest.mark.parametrize("folder", ["/proc/self/fdinfo", "/proc/nowhere/at/all", "/dev/null/x"])
async def test_where_there_can_be_no_folder_it_works_in_memory(rig, folder):
    async with rig.enter(Path(folder)) as told:
        assert rig.faults.now is not None
        await told.accept(kept("a"))
        told.end("kitchen", "n", NORMAL, outcome("n"))
        await told.written()
        assert ids(told) == ["a"]
        assert len(told.history) == 1
        assert rig.faults.now is not None
