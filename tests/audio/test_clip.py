"""A clip is filled once and read by any number of readers, byte for byte, in memory or on disk."""

import asyncio
import contextlib
import os
import random
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.clip import MAX_MEMORY_BYTES, Clip
from edgevoice.errors import ClipError
from tests.support import virtual_time
from tests.support.examples import examples

NOISE = random.Random(1).randbytes(2 * 1024 * 1024)


def nowhere() -> Path:
    raise ClipError("no disk")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def as_few_open_files_as(before: int) -> None:
    """A thread that has read lets go of the file a moment after it has answered."""
    async with asyncio.timeout(5):
        while open_files() != before:
            await asyncio.sleep(0.01)


async def read_all(clip, frame=0, most=64 * 1024):
    audio = b""
    while pcm := await clip.read(frame, most):
        audio += pcm
        frame += len(pcm) // 2
    return audio


async def filled(clip, audio, size):
    for start in range(0, len(audio), size):
        await clip.append(audio[start : start + size])
    clip.finish()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 90_000)),
        st.tuples(st.just("read"), st.integers(1, 60_000)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("breathe"), st.integers(0, 3)),
    ),
    max_size=25,
)


@examples(80)
@given(steps=STEPS)
def test_any_interleaving_of_appends_readers_and_cancellations_keeps_every_byte(steps, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()

    async def run():
        clip, at, readers = Clip(24000, lambda: folder), 0, []
        for step, number in steps:
            if step == "append":
                await clip.append(NOISE[at : at + 2 * number])
                at += 2 * number
            elif step == "read":
                start = random.Random(number).randint(0, at // 2)
                readers.append((start, asyncio.create_task(read_all(clip, start, 2 * number))))
            elif step == "cancel" and readers:
                readers.pop(number % len(readers))[1].cancel()
            else:
                await asyncio.sleep(0)
        assert clip.frames == at // 2
        clip.finish()
        for start, reader in readers:
            assert await reader == NOISE[2 * start : at]
        assert await read_all(clip) == NOISE[:at]
        clip.close()

    asyncio.run(run())


async def test_large_clip_spills_to_an_unnamed_file(tmp_path):
    clip = Clip(24000, lambda: tmp_path)
    before = open_files()
    await filled(clip, NOISE, 40_000)
    assert len(clip._tail) <= MAX_MEMORY_BYTES
    assert not list(tmp_path.iterdir())
    assert await read_all(clip) == NOISE
    clip.close()
    await as_few_open_files_as(before)


async def test_no_disk_is_asked_for_what_fits_into_memory():
    clip = Clip(24000, nowhere)
    await clip.append(NOISE[:MAX_MEMORY_BYTES])
    with pytest.raises(ClipError, match="no disk"):
        await clip.append(b"ab")
    clip.finish(ClipError("no disk"))
    assert clip.frames == MAX_MEMORY_BYTES // 2
    assert await clip.read(0, MAX_MEMORY_BYTES) == NOISE[:MAX_MEMORY_BYTES]


async def test_a_reader_waits_for_audio_and_for_the_end():
    clip = Clip(8000, nowhere)
    reader = asyncio.create_task(clip.read(2))
    await clip.append(b"abcd")
    await asyncio.sleep(0)
    assert not reader.done()
    await clip.append(b"ef")
    assert await reader == b"ef"
    last = asyncio.create_task(clip.read(3))
    await asyncio.sleep(0)
    clip.finish()
    assert await last == b""
    assert clip.complete
    assert clip.seconds == 3 / 8000


async def test_a_failed_clip_is_read_to_where_it_failed():
    clip = Clip(8000, nowhere)
    await clip.append(b"abcd")
    clip.finish(ValueError("the server went away"))
    clip.finish()
    assert not clip.complete
    assert await clip.read(0) == b"abcd"
    with pytest.raises(ClipError, match="the server went away"):
        await clip.read(2)


async def test_append_after_end_is_ignored():
    clip = Clip(8000, nowhere)
    clip.finish()
    with pytest.raises(ClipError, match="has ended"):
        await clip.append(b"ab")


async def test_a_clip_has_a_limit_on_disk_too(tmp_path):
    clip = Clip(24000, lambda: tmp_path, longest=500_000)
    await clip.append(NOISE[:250_000])
    await clip.append(NOISE[250_000:500_000])
    with pytest.raises(ClipError, match="longer than"):
        await clip.append(b"ab")
    clip.finish()
    assert await read_all(clip) == NOISE[:500_000]


async def test_close_releases_all_readers(tmp_path):
    clip = Clip(24000, lambda: tmp_path)
    await clip.append(NOISE[: MAX_MEMORY_BYTES + 2])
    await clip.append(NOISE[:4])
    waiting = asyncio.create_task(clip.read(clip.frames))
    await asyncio.sleep(0)
    clip.close()
    for reading in (waiting, clip.read(0)):
        with pytest.raises(ClipError, match="closed"):
            await reading
    with pytest.raises(ClipError):
        await clip.append(b"ab")


async def test_a_filler_that_is_cancelled_while_it_writes_can_go_on_where_the_clip_stands(tmp_path):
    clip = Clip(24000, lambda: tmp_path)
    while clip.frames * 2 < len(NOISE):
        filler = asyncio.create_task(clip.append(NOISE[clip.frames * 2 : clip.frames * 2 + 150_000]))
        await asyncio.sleep(0)
        if random.Random(clip.frames).random() < 0.3:
            filler.cancel()
            await asyncio.wait({filler})
            await clip.append(NOISE[clip.frames * 2 : clip.frames * 2 + 2])
        else:
            await filler
    clip.finish()
    assert await read_all(clip) == NOISE


async def test_a_write_that_outlives_its_clip_meets_no_other_file(tmp_path, monkeypatch):
    begun, ended, go_on, met = asyncio.Event(), asyncio.Event(), threading.Event(), []
    loop, pwrite = asyncio.get_running_loop(), os.pwrite

    def slow(descriptor, data, offset):
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        met.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        loop.call_soon_threadsafe(ended.set)
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    clip = Clip(24000, lambda: tmp_path)
    await clip.append(NOISE[:MAX_MEMORY_BYTES])
    filler = asyncio.create_task(clip.append(b"ab"))
    await begun.wait()
    filler.cancel()
    await asyncio.wait({filler})
    clip.close()
    del clip
    with contextlib.ExitStack() as stack:
        for number in range(5):
            stack.enter_context((tmp_path / str(number)).open("wb"))
        go_on.set()
        await ended.wait()
        assert "(deleted)" in met[0]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KiB, where this may be mounted; else one that was full all along."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        yield Path("/proc")
    else:
        yield folder
        subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_ends_the_clip_with_a_sentence_and_keeps_what_there_is(small_disk):
    clip = Clip(24000, lambda: small_disk)
    with pytest.raises(ClipError, match="no room for a long announcement") as caught:
        await filled(clip, NOISE, 50_000)
    clip.finish(caught.value)
    frames = clip.frames
    audio = b""
    with pytest.raises(ClipError, match="no room"):
        await clip.read(frames)
    while len(audio) < 2 * frames:
        audio += await clip.read(len(audio) // 2)
    assert audio == NOISE[: 2 * frames]
    clip.close()


async def test_a_clip_is_complete_at_once_with_what_another_holds(tmp_path):
    made, taken = Clip(24000, lambda: tmp_path), Clip(24000, nowhere)
    reader = asyncio.create_task(read_all(taken))
    await filled(made, NOISE, 40_000)
    taken.adopt(made.snapshot)
    made.close()
    assert taken.complete
    assert taken.frames == len(NOISE) // 2
    assert await reader == NOISE
    assert b"".join(taken.snapshot.pieces()) == NOISE


async def test_a_clip_that_was_closed_takes_nothing_any_more():
    made, closed = Clip(24000, nowhere), Clip(24000, nowhere)
    await filled(made, b"abcd", 4)
    closed.close()
    closed.adopt(made.snapshot)
    assert not closed.complete
    with pytest.raises(ClipError, match="closed"):
        await closed.read(0)


async def test_wait_returns_the_end_of_the_clip():
    whole, failed = Clip(24000, nowhere), Clip(24000, nowhere)
    waiting = [asyncio.create_task(clip.wait_end()) for clip in (whole, failed)]
    await whole.append(b"abcd")
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    whole.finish()
    failed.finish(ValueError("the server went away"))
    await waiting[0]
    with pytest.raises(ClipError, match="the server went away"):
        await waiting[1]


@pytest.mark.parametrize(
    ("pieces", "wanted_s", "ready_s"),
    [
        (1, 0.0, 0.0),
        (1, 0.1, None),
        (2, 0.1, 0.02),  # only the rest is waited for in time
        (3, 0.1, 0.0),
    ],
)
def test_buffer_is_waited_for_in_audio_and_only_its_rest_in_time(pieces, wanted_s, ready_s):
    async def main():
        clip, now = Clip(24_000, nowhere), asyncio.get_running_loop().time
        for _ in range(pieces):
            await clip.append(bytes(2 * 1920))  # 80 ms
        began = now()
        try:
            async with asyncio.timeout(5):
                await clip.wait_buffered(0, wanted_s)
        except TimeoutError:
            return None
        return now() - began

    assert virtual_time.run(main()) == (None if ready_s is None else pytest.approx(ready_s))


async def test_closed_clip_holds_no_memory():
    """Defect 9.14: it kept up to 256 KiB that nothing can read."""
    clip = Clip(24000, nowhere)
    await clip.append(bytes(200_000))
    clip.finish()
    clip.close()
    assert clip.snapshot.size == 0
