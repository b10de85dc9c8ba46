"""The journal of version 0.1.0 is taken over once, whatever state it was left in."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from edgevoice.storage import database
from edgevoice.storage.database import read_history
from tests.support.stores import Rig, ids

if TYPE_CHECKING:
    from pathlib import Path

BOOT = "the boot of both"


def line(**record: Any) -> bytes:
    body = json.dumps(record).encode()
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body[1:])


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    (tmp_path / "boot_id").write_text(BOOT)
    monkeypatch.setattr(database, "BOOT_ID", tmp_path / "boot_id")
    return Rig(tmp_path)


def accepted(rig: Rig, name: str, **more: Any) -> bytes:
    known = {"id": name, "target": "all", "payload": "RmlyZSE=", "urgency": "high", "at": rig.clocks.wall}
    return line(**{"is": "accepted"}, **{**known, "ttl": 600.0, "speakers": ["kitchen", "study"], **more})


def told(name: str, **more: Any) -> dict[str, Any]:
    return {
        "event_type": "finished",
        "id": name,
        "speaker": "kitchen",
        "at": "2027-01-15T08:00:00+00:00",
        **more,
    }


def journal(rig: Rig) -> bytes:
    wall = rig.clocks.wall
    return b"".join(
        [
            line(**{"is": "journal"}, version=1, boot=BOOT, offset=wall - rig.clocks.monotonic),
            line(**{"is": "ended"}, outcome=told("normal")),
            line(**{"is": "ended"}, key=["kitchen", "long ago"], finished=wall - 3600),
            line(**{"is": "switched"}, speaker="kitchen", values={"volume": 40, "mute": True}),
            accepted(rig, "a"),
            accepted(rig, "held", held={"study": wall - 100}, stood={"kitchen": 50.0}, at=wall - 200),
            line(**{"is": "switched"}, speaker="kitchen", values={"mute": False}),
            line(**{"is": "ended"}, key=["kitchen", "a"], finished=wall, outcome=told("a")),
            line(**{"is": "held"}, key=["kitchen", "held"], held=True, at=wall),
            b'{"crc":"00000000","is":"accepted"}\n',
            line(**{"is": "of another world"}),
            accepted(rig, "torn")[:-20],
        ]
    )


def write(rig: Rig, content: bytes) -> Path:
    file = rig.folder / "journal" / "journal.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return file


async def test_all_of_the_journal_is_taken_over(rig: Rig) -> None:
    file = write(rig, journal(rig))
    rig.clocks.advance(20)
    async with rig.enter() as store:
        found = await store.snapshot()
        now = rig.clocks.monotonic
        left = {row.key: row.expires_from(now) - now for row in found.pending}
        assert left == pytest.approx({("study", "a"): 580, ("kitchen", "held"): 450, ("study", "held"): 500})
        assert {row.payload for row in found.pending} == {b"Fire!"}
        assert found.finished[("kitchen", "a")] == pytest.approx(now - 20)
        assert found.finished[("kitchen", "long ago")] == pytest.approx(now - 3620)
        assert store.settings("kitchen") == {"volume": 40, "mute": False}
        assert [event["id"] for event in read_history(rig.file, last=9)] == ["normal", "a"]
        assert rig.faults.now is None
    assert not file.exists()
    assert file.with_name("journal.imported.jsonl").exists()


async def test_after_a_boot_the_wall_clock_counts(rig: Rig) -> None:
    write(rig, journal(rig))
    (rig.folder / "boot_id").write_text("another")
    rig.clocks.wall, rig.clocks.monotonic = rig.clocks.wall + 100, 3.0
    async with rig.enter() as store:
        row = store.pending["study", "a"]
        assert row.expires - rig.clocks.monotonic == pytest.approx(500)


async def test_a_crash_before_the_rename_imports_nothing_twice(rig: Rig) -> None:
    content = journal(rig)
    write(rig, content)
    async with rig.enter() as store:
        store.set_value("latency", "http", {"at": 1.0})
        store.forget(store.pending.values())
    write(rig, content)
    async with rig.enter() as again:
        assert ids(again) == []
        assert rig.faults.now is None
        assert len(read_history(rig.file, last=9)) == 2


async def test_an_empty_journal_is_no_obstacle(rig: Rig) -> None:
    write(rig, b"")
    async with rig.enter() as store:
        assert ids(store) == []
        assert rig.faults.now is None


async def test_a_journal_that_cannot_be_read_is_no_obstacle(rig: Rig) -> None:
    file = write(rig, b"")
    file.unlink()
    file.mkdir()
    async with rig.enter() as store:
        await store.put([rig.pending("a")])
        assert rig.faults.now is None
    async with rig.enter() as again:
        assert ids(again) == ["a"]
