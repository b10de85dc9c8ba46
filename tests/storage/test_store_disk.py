"""The store on a disk that is full, fails, hangs, or cannot be written: a fault, and it goes on in memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgevoice import Urgency
from edgevoice.storage.schema import MAX_UNWRITTEN, Changes
from edgevoice.storage.store import Timeouts
from tests.support.stores import Faults, Rig, ids, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@contextlib.contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[bool]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=False, capture_output=True
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


class SmallDisk:
    """A megabyte that can be filled to its last byte, or what a limit on the size of files makes of it."""

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        self.folder, self._mounted = folder, mounted
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        if not self._mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, self._limits[1]))
            return
        for step in (4096, 1):
            filler = (self.folder / "filler").open("ab", buffering=0)
            with filler, contextlib.suppress(OSError):
                while filler.write(b"x" * step) == step:
                    pass

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        (self.folder / "filler").unlink(missing_ok=True)


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    small = tmp_path / "small"
    with tmpfs(small, "size=1m") if request.param == "tmpfs" else _folder(small) as mounted:
        disk = SmallDisk(small, mounted=mounted)
        yield disk
        disk.free()


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[bool]:
    folder.mkdir()
    yield False


async def until_no_fault(faults: Faults) -> None:
    async with asyncio.timeout(30):
        while faults.now is not None:
            await asyncio.sleep(0.005)


async def test_a_full_disk_keeps_all_in_memory_and_writes_it_later(rig: Rig, disk: SmallDisk) -> None:
    async with rig.enter(disk.folder) as store:
        await store.put([rig.pending("before")])
        disk.fill()
        for number in range(60):
            await store.put([rig.pending(f"full{number}", payload=b"x" * 5000)])
        store.record(outcome("full0"))
        await store.flush()
        assert rig.faults.now is not None
        assert "edgevoice.db" in rig.faults.now
        assert len(store.pending) == 60
        disk.free()
        await until_no_fault(rig.faults)
        await store.put([rig.pending("after")])
        expected = ids(store)
    async with rig.enter(disk.folder) as again:
        assert sorted(ids(again)) == sorted(expected)
        assert len(expected) == 61
        assert rig.faults.now is None


async def test_store_starts_on_a_full_disk_and_reads_it(rig: Rig, disk: SmallDisk) -> None:
    async with rig.enter(disk.folder) as store:
        await store.put([rig.pending("a")])
        await store.put([rig.pending("b")])
    disk.fill()
    async with rig.enter(disk.folder) as after:
        await after.put([rig.pending("c", payload=b"x" * 5000)])
        assert rig.faults.now is not None
        assert ids(after) == ["a", "b", "c"]
    disk.free()
    async with rig.enter(disk.folder) as again:
        assert ids(again)[:2] == ["a", "b"]


async def test_the_end_writes_what_a_full_disk_kept_back(rig: Rig, disk: SmallDisk) -> None:
    async with rig.enter(disk.folder) as store:
        disk.fill()
        for number in range(20):
            await store.put([rig.pending(f"a{number}", payload=b"x" * 5000)])
        assert rig.faults.now is not None
        disk.free()
    async with rig.enter(disk.folder) as again:
        assert len(again.pending) == 20


class Failing(sqlite3.Connection):
    """Fails to commit as often as it is told to."""

    failures: list[Exception]

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.failures:
            raise self.failures.pop()
        return super().execute(sql, *parameters)


def failing(failures: list[Exception]) -> Any:
    kind = type("Armed", (Failing,), {"failures": failures})
    return lambda *where, **how: sqlite3.connect(*where, **how, factory=kind)


async def test_a_failed_sync_is_tried_again_at_once(rig: Rig) -> None:
    failures: list[Exception] = []
    async with rig.enter(connect=failing(failures)) as store:
        await store.put([rig.pending("before")])
        failures.append(sqlite3.OperationalError("disk I/O error"))
        await store.put([rig.pending("a")])
        assert not failures
        assert rig.faults.now is None
    async with rig.enter() as again:
        assert ids(again) == ["before", "a"]


async def test_a_lasting_failure_is_a_fault_until_it_ends(rig: Rig) -> None:
    failures: list[Exception] = []
    async with rig.enter(connect=failing(failures)) as store:
        failures += [OSError(errno.EIO, "Input/output error")] * 4
        await store.put([rig.pending("a")])
        assert "Input/output error" in str(rig.faults.now)
        await until_no_fault(rig.faults)
    async with rig.enter() as again:
        assert ids(again) == ["a"]


async def test_a_disk_that_hangs_delays_one_promise_and_no_more(rig: Rig) -> None:
    answers = threading.Event()

    class Hanging(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                answers.wait(60)
            return super().execute(sql, *parameters)

    answers.set()
    brief = Timeouts(open_s=5.0, commit_s=0.2, close_s=5.0)
    async with rig.enter(
        connect=lambda *a, **k: sqlite3.connect(*a, **k, factory=Hanging), timeouts=brief
    ) as store:
        answers.clear()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await store.put([rig.pending("a")])
        assert 0.1 < loop.time() - began < 2.0
        assert "does not answer" in str(rig.faults.now)
        began = loop.time()
        for number in range(100):
            await store.put([rig.pending(f"b{number}")])
        assert loop.time() - began < 0.2
        answers.set()
        await until_no_fault(rig.faults)
    async with rig.enter() as again:
        assert len(again.pending) == 101


async def test_a_disk_that_hangs_holds_up_neither_start_nor_end(rig: Rig) -> None:
    answers = threading.Event()

    def hanging(*where: Any, **how: Any) -> sqlite3.Connection:
        answers.wait(60)
        connection: sqlite3.Connection = sqlite3.connect(*where, **how)
        return connection

    brief = Timeouts(open_s=0.1, commit_s=0.1, close_s=0.1)
    async with asyncio.timeout(5):
        async with rig.enter(connect=hanging, timeouts=brief) as store:
            assert "does not answer" in str(rig.faults.now)
            await store.put([rig.pending("a")])
            assert not store.is_loaded
    answers.set()


async def test_a_row_that_cannot_be_written_keeps_back_nothing_else(rig: Rig) -> None:
    class Picky(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if parameters and "poison" in str(parameters):
                raise sqlite3.InterfaceError("Error binding parameter")
            return super().execute(sql, *parameters)

    async with rig.enter(connect=lambda *a, **k: sqlite3.connect(*a, **{"factory": Picky} | k)) as store:
        await store.put([rig.pending("a")])
        store.record(outcome("poison"))
        await store.flush()
        assert "binding" in str(rig.faults.now)
        await store.put([rig.pending("b")])
        assert rig.faults.now is None
    async with rig.enter() as again:
        assert ids(again) == ["a", "b"]


async def test_a_file_that_is_deleted_meanwhile_is_written_anew(rig: Rig) -> None:
    async with rig.enter() as store:
        await store.put([rig.pending("a")])
        store.set_setting("kitchen", "volume", 3)
        rig.file.unlink()
        await store.put([rig.pending("b")])
        assert rig.faults.now is None
    async with rig.enter() as again:
        assert ids(again) == ["a", "b"]
        assert again.settings("kitchen") == {"volume": 3}


async def test_a_folder_that_cannot_be_written_is_read_and_a_fault(
    rig: Rig, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "fixed"
    with tmpfs(folder, "size=1m") as mounted:
        async with rig.enter(folder) as store:
            await store.put([rig.pending("a")])
        if mounted:
            remount(folder, "ro")
        else:
            request.addfinalizer(SmallDisk(folder, mounted=False).free)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        async with rig.enter(folder) as after:
            assert ids(after) == ["a"]
            await after.put([rig.pending("b")])
            after.record(outcome("a"))
            after.set_setting("kitchen", "volume", 3)
            assert ids(after) == ["b"]
            assert rig.faults.now is not None
            if mounted:
                remount(folder, "rw")
                await until_no_fault(rig.faults)
                await after.flush()
        if mounted:
            async with rig.enter(folder) as again:
                assert ids(again) == ["b"]


@pytest.mark.parametrize("folder", ["/proc/self/fdinfo", "/proc/nowhere/at/all", "/dev/null/x"])
async def test_without_a_folder_it_works_in_memory(rig: Rig, folder: str) -> None:
    async with rig.enter(Path(folder)) as store:
        assert rig.faults.now is not None
        await store.put([rig.pending("a")])
        store.record(outcome("n", urgency=Urgency.NORMAL))
        await store.flush()
        assert ids(store) == ["a"]
        assert not store.is_loaded
        assert rig.faults.now is not None


async def test_a_folder_that_comes_late_is_read_then(rig: Rig, tmp_path: Path) -> None:
    """Defect 9.11: a store that could not be opened at start was off until the next one."""
    folder = tmp_path / "late"
    async with rig.enter(folder) as store:
        await store.put([rig.pending("a"), rig.pending("b")])
        store.set_setting("kitchen", "volume", 30)
        store.set_setting("kitchen", "mute", value=True)
    hidden = tmp_path / "hidden"
    folder.rename(hidden)
    folder.write_text("no folder")
    async with rig.enter(folder) as after:
        assert not after.is_loaded
        waiting = asyncio.create_task(after.snapshot())
        await after.put([rig.pending("c")])
        after.set_setting("kitchen", "volume", 50)
        after.record(outcome("b"))
        assert rig.faults.now is not None
        folder.unlink()
        hidden.rename(folder)
        async with asyncio.timeout(30):
            found = await waiting
        assert [row.id for row in found.pending] == ["a"]
        assert after.settings("kitchen") == {"volume": 50, "mute": True}
        assert ids(after) == ["a", "c"]
        await until_no_fault(rig.faults)
    async with rig.enter(folder) as again:
        assert ids(again) == ["a", "c"]
        assert again.settings("kitchen") == {"volume": 50, "mute": True}


async def test_a_thousand_failures_do_not_end_the_attempts(rig: Rig, tmp_path: Path) -> None:
    """Defect: the pause was a power of the number of failures, which overflowed."""
    folder = tmp_path / "late"
    folder.write_text("no folder")
    async with rig.enter(folder) as store:
        for number in range(1100):
            await store.put([rig.pending(f"a{number}")])
        assert rig.faults.now is not None
        folder.unlink()
        await until_no_fault(rig.faults)
    async with rig.enter(folder) as again:
        assert len(again.pending) == 1100


def test_refused_changes_are_bounded_and_keep_pending_rows(rig: Rig) -> None:
    waiting = rig.pending("waits")
    changes = Changes(pending={waiting.key: waiting})
    changes.pending.update({("kitchen", f"a{number}"): None for number in range(MAX_UNWRITTEN)})
    changes.delivered.update(
        {("mqtt", "kitchen", f"a{number}", ""): None for number in range(MAX_UNWRITTEN + 9)}
    )
    changes.shorten()
    assert changes.pending[waiting.key] is waiting
    assert len(changes.pending) == MAX_UNWRITTEN // 2 + 1
    assert len(changes.delivered) == MAX_UNWRITTEN
