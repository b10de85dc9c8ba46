"""The journal after damage: whatever is whole in its file is used, and what is not is told."""

import os
import random

import pytest

from edgevoice import Urgency
from edgevoice.journal.file import line
from tests.support.journals import Rig, ids, kept, known

HIGH = Urgency.HIGH
DAY = 86400.0


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


async def a_file_and_what_it_says(rig, folder):
    """Every size the file had, and what was known then."""
    file, sizes = folder / "journal.jsonl", []

    async with rig.enter(folder) as told:

        async def note():
            await told.written()
            sizes.append((file.stat().st_size, known(told)))

        await note()
        await told.accept(kept("a", rig.clocks, speakers=("kitchen", "study"), payload=b"\x00\n\xff{"))
        await note()
        told.switch("kitchen", volume=30, dnd=True)
        await note()
        told.hold("a", "study", held=True)
        await note()
        told.end("kitchen", "a", HIGH, {"event_type": "finished", "id": "a"})
        await note()
        rig.clocks.wall += 5 * DAY
        await told.accept(kept("b", rig.clocks))
        await told.written()
        sizes.append((file.stat().st_size, known(told)))
    return file.read_bytes(), sizes


async def test_cut_off_at_any_byte_it_starts_with_all_that_came_before(rig, tmp_path):
    data, sizes = await a_file_and_what_it_says(rig, tmp_path / "whole")
    rig.clocks.wall -= 5 * DAY  # so that times are those of the lines before the clock was set
    nothing = ((), {}, {}, [])
    for cut in range(len(data) + 1):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(data[:cut])
        rig.faults.clear()
        whole = cut == 0 or data[:cut].endswith(b"\n") or data[cut : cut + 1] == b"\n"
        expected = [what for size, what in sizes if size - 1 <= cut]
        async with rig.enter(folder) as after:
            pending, finished, switches, history = expected[-1] if expected else nothing
            assert [(one.id, one.payload, one.speakers) for one in after.pending] == [
                (one.id, one.payload, one.speakers) for one in pending
            ]
            assert (set(after.finished), after.switches, after.history) == (set(finished), switches, history)
            assert [one.age("kitchen", rig.clocks.wall) for one in after.pending] == [0] * len(pending)
            assert bool(rig.faults.now) != whole, f"cut at {cut}: {rig.faults.now}"
            await after.accept(kept("new"))
            before = ids(after)
            assert rig.faults.now is None
        async with rig.enter(folder) as again:
            assert ids(again) == before
            assert rig.faults.now is None


async def test_whatever_is_corrupted_the_lines_that_are_whole_are_used(rig, tmp_path):
    async with rig.enter(tmp_path / "whole") as told:
        for number in range(12):
            await told.accept(kept(f"a{number}", payload=os.urandom(20)))
    original = (tmp_path / "whole" / "journal.jsonl").read_bytes()
    dice = random.Random(3)
    for attempt in range(150):
        data = bytearray(original)
        for _ in range(dice.randint(1, 4)):
            at, length = dice.randrange(len(data)), dice.choice([1, 1, 8, 300])
            data[at : at + length] = dice.choice([b"", bytes(length), dice.randbytes(length)])
        folder = tmp_path / f"corrupt-{attempt}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(data)
        whole = set(original.split(b"\n")) & set(bytes(data).split(b"\n"))
        rig.faults.clear()
        async with rig.enter(folder) as after:
            assert ids(after) == [
                f"a{number}"
                for number in range(12)
                if any(f'"id":"a{number}",'.encode() in one for one in whole)
            ]
            rest = [one for one in bytes(data).split(b"\n") if one and one not in whole]
            told_of = f"{len(rest)} line" if rest else None
            assert (rig.faults.now is None) if told_of is None else told_of in rig.faults.now


async def test_a_fault_tells_how_much_is_lost_until_something_is_written(rig, tmp_path):
    async with rig.enter() as told:
        await told.accept(kept("a"))
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"crc":"00000000","is":"accepted"}\n')
        file.write(line(b'{"is":"from another world"}'))
    async with rig.enter() as after:
        assert rig.faults.now is not None
        assert rig.faults.now.startswith("2 lines (")
        assert ids(after) == ["a"]
        await after.accept(kept("b"))
        assert rig.faults.now is None


async def test_the_file_of_a_newer_version_is_set_aside_untouched(rig, tmp_path):
    newer = line(b'{"is":"journal","version":2,"boot":"x","offset":0.0,"more":1}') + b"what it may be\n"
    for aside in ("journal.version-2.jsonl", "journal.version-2-2.jsonl"):
        (tmp_path / "journal.jsonl").write_bytes(newer)
        rig.faults.clear()
        async with rig.enter() as after:
            assert rig.faults.now is not None
            assert "newer edgevoice" in rig.faults.now
            assert aside in rig.faults.now
            assert after.pending == ()
            await after.accept(kept("a"))
        assert (tmp_path / aside).read_bytes() == newer
    async with rig.enter() as again:
        assert ids(again) == ["a"]
