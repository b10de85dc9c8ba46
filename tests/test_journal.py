"""The journal: what it was told is there after a restart, and its file stays small."""

import asyncio
import base64
import os
import stat
import threading
from pathlib import Path

import pytest

from edgevoice import Urgency
from edgevoice.journal import writer as journal_writer
from edgevoice.journal.file import JournalFile
from tests.support.journals import Rig, ids, kept, known, outcome

HIGH, CRITICAL, NORMAL = Urgency.HIGH, Urgency.CRITICAL, Urgency.NORMAL
DAY = 86400.0


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


async def test_all_that_was_told_is_there_after_a_restart(rig):
    binary = bytes(range(256))
    async with rig.enter() as first:
        await first.accept(kept("a", speakers=("kitchen", "study"), payload=binary))
        await first.accept(kept("b", urgency=CRITICAL, ttl=1800.0))
        first.switch("kitchen", volume=40, mute=True)
        first.switch("kitchen", dnd=12.5, mute=False)
        first.end("kitchen", "a", HIGH, outcome("a"))
        first.end("kitchen", "n", NORMAL, outcome("n", urgency=NORMAL))
        told = known(first)
    async with rig.enter() as second:
        assert known(second) == told
        [a, b] = second.pending
        assert (a.id, a.payload, a.speakers) == ("a", binary, ("study",))
        assert (b.id, b.urgency, b.ttl, b.at, b.target) == ("b", CRITICAL, 1800.0, rig.clocks.wall, "all")
        assert second.finished == {("kitchen", "a"): rig.clocks.wall}
        assert second.switches == {"kitchen": {"volume": 40, "mute": False, "dnd": 12.5}}
        assert [one["id"] for one in second.history] == ["a", "n"]
        assert "tag" not in second.history[0]
        assert second.history[0]["ms"]["total"] == 3400


async def test_only_what_finished_and_was_urgent_is_remembered_as_a_duplicate(rig):
    async with rig.enter() as one:
        for name, how in (("f", "finished"), ("x", "expired"), ("c", "cancelled")):
            await one.accept(kept(name))
            one.end("kitchen", name, HIGH, outcome(name, event_type=how))
        one.end("kitchen", "n", NORMAL, outcome("n"))
        assert list(one.finished) == [("kitchen", "f")]
    async with rig.enter() as again:
        assert list(again.finished) == [("kitchen", "f")]
        assert again.pending == ()
        assert len(again.history) == 4


async def test_one_id_can_wait_on_two_speakers_with_different_texts(rig):
    async with rig.enter() as first:
        await first.accept(kept("a", speakers=("kitchen",), payload=b"one"))
        await first.accept(kept("a", speakers=("study",), payload=b"two"))
        first.end("study", "a", HIGH, outcome("a", "study"))
    async with rig.enter() as second:
        assert [(one.payload, one.speakers) for one in second.pending] == [(b"one", ("kitchen",))]


async def test_many_that_are_accepted_at_once_share_their_syncs(rig, monkeypatch):
    syncs, fdatasync = [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (syncs.append(file), fdatasync(file)))
    async with rig.enter() as told:
        await asyncio.gather(*(told.accept(kept(f"a{number}")) for number in range(200)))
        assert 1 <= len(syncs) <= 3
        await told.accept(kept("alone"))
        assert 2 <= len(syncs) <= 4
    async with rig.enter() as again:
        assert len(again.pending) == 201


async def test_it_returns_only_when_a_sync_began_after_its_line_was_written(rig, tmp_path, monkeypatch):
    synced, sync = [], JournalFile.sync

    def noting(self):
        synced.append((tmp_path / "journal.jsonl").read_bytes())
        sync(self)

    monkeypatch.setattr(JournalFile, "sync", noting)
    async with rig.enter() as told:

        async def accept(name):
            await told.accept(kept(name))
            assert any(f'"id":"{name}"'.encode() in data for data in synced)

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(accept(f"a{number}"))
                if dice := number % 7:
                    await asyncio.sleep(dice / 5000)


async def test_what_ends_is_written_while_a_sync_is_still_under_way(rig, tmp_path, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(JournalFile, "sync", lambda self: (begun.set(), go_on.wait(30)))
    async with rig.enter() as told:
        accepting = asyncio.create_task(told.accept(kept("a")))
        assert await asyncio.to_thread(begun.wait, 30)
        told.end("kitchen", "b", HIGH, outcome("b"))
        await told.written()
        assert b'"kitchen","b"' in (tmp_path / "journal.jsonl").read_bytes()
        assert not accepting.done()
        go_on.set()
        await accepting


async def test_the_text_of_a_private_one_leaves_the_disk_when_it_has_ended(rig):
    file = rig.folder / "journal.jsonl"
    secret = base64.b64encode(b"the test came back negative")
    async with rig.enter() as told:
        private = kept(
            "a", speakers=("kitchen", "study"), payload=b"the test came back negative", private=True
        )
        await told.accept(private)
        assert secret in file.read_bytes()
        told.end("kitchen", "a", HIGH, outcome("a"))
        told.end("study", "a", HIGH, outcome("a", "study"))
        told.end("kitchen", "b", HIGH, outcome("b"))
        expected = known(told)
    assert secret not in file.read_bytes()
    async with rig.enter() as again:
        assert known(again) == expected


async def test_a_start_adds_one_line_where_nothing_is_wrong(rig):
    file = rig.folder / "journal.jsonl"
    async with rig.enter() as told:
        await told.accept(kept("a"))
    before = file.stat()
    async with rig.enter():
        pass
    assert file.stat().st_ino == before.st_ino
    assert 0 < file.stat().st_size - before.st_size < 200


async def test_the_file_is_replaced_in_the_order_that_a_power_cut_needs(rig, monkeypatch):
    steps, fsync, replace = [], os.fsync, Path.replace

    def noted_fsync(file):
        steps.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        fsync(file)

    def noted_replace(self, to):
        steps.append("rename")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    async with rig.enter():
        assert steps == ["file", "rename", "folder"]
        assert stat.S_IMODE((rig.folder / "journal.jsonl").stat().st_mode) == 0o600


async def test_a_cancelled_accept_is_written_all_the_same(rig):
    async with rig.enter() as told:
        accepting = asyncio.create_task(told.accept(kept("a")))
        await asyncio.sleep(0)
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        await told.accept(kept("b"))
    async with rig.enter() as again:
        assert ids(again) == ["a", "b"]


async def test_the_file_stays_small_and_keeps_all_that_is_alive(rig, tmp_path):
    async with rig.enter() as told:
        told.switch("kitchen", volume=7)
        for number in range(3000):
            await told.accept(kept(f"a{number}", rig.clocks, payload=b"x" * 300))
            if number % 100:
                told.end("kitchen", f"a{number}", HIGH, outcome(f"a{number}"))
            rig.clocks.advance(60)
        await told.written()
        alive = known(told)
        assert (tmp_path / "journal.jsonl").stat().st_size < journal_writer.LARGEST + 100_000
    async with rig.enter() as again:
        assert known(again) == alive
        assert ids(again) == [f"a{number}" for number in range(0, 3000, 100)]
        assert len(again.finished) > 1400
        assert len(again.history) == 500
        assert again.history[-1]["id"] == "a2999"


@pytest.mark.parametrize(("messages", "most"), [(500, 1_000_000), (10_000, 7_000_000)])
async def test_a_day_of_messages_writes_little(rig, monkeypatch, messages, most):
    written = []
    append, replace = JournalFile.append, JournalFile.replace

    def counting_append(self, lines):
        written.append(len(lines))
        append(self, lines)

    def counting_replace(self, bodies):
        written.append(replace(self, bodies))
        return written[-1]

    monkeypatch.setattr(JournalFile, "append", counting_append)
    monkeypatch.setattr(JournalFile, "replace", counting_replace)
    async with rig.enter() as told:
        for number in range(messages):
            name, urgency = f"{number:012x}", HIGH if number % 10 == 0 else NORMAL
            if urgency is HIGH:
                await told.accept(kept(name, rig.clocks, payload=b"x" * 120))
            told.end("kitchen", name, urgency, outcome(name, urgency=urgency))
            rig.clocks.advance(DAY / messages)
        await told.written()
    print(f"{messages} messages: {sum(written)} bytes in {len(written)} writes")
    assert sum(written) < most
