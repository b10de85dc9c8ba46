"""The cache returns what was stored, within its limits; a disk that fails costs hits and nothing else.

Length: the cache is tested as a whole, on one set of failing disks.
"""

import asyncio
import logging
import os
import resource
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevoice.audio.clip import MAX_MEMORY_BYTES, Clip
from edgevoice.cache import files
from edgevoice.cache.cache import Cache
from edgevoice.cli.cache import describe
from edgevoice.config.options import MAX_CLIP_BYTES, CacheOptions
from edgevoice.errors import ClipError
from tests.support.announcements import announcement
from tests.support.caches import (
    KEY_SCHEME,
    NAME,
    OTHER,
    clips,
    complete,
    empty,
    found,
    kept,
    name_of,
    noise,
    on_disk,
    running,
)

DAY_S = 86_400


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def set_last_use(folder, name, seconds_ago):
    used = time.time() - seconds_ago
    os.utime(folder / f"{name}.clip", (used, used))


# ---- hits and misses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 1000, MAX_MEMORY_BYTES, MAX_MEMORY_BYTES + 2, MAX_CLIP_BYTES - 5000])
async def test_hit_returns_stored_bytes(folder, size):
    audio = noise(size)
    async with running(folder) as cache:
        await kept(cache, NAME, audio)
        assert await found(cache, NAME) == audio
        assert (cache.hits, cache.misses) == (1, 0)
    async with running(folder) as cache:
        assert cache.contains(NAME)
        assert await found(cache, NAME) == audio


async def test_miss_leaves_clip_open(folder):
    async with running(folder) as cache:
        clip = empty()
        assert not await cache.load_into(clip, NAME)
        assert not clip.ended
        assert (cache.hits, cache.misses) == (0, 1)
        assert not await cache.load_into(clip, None)
        assert cache.misses == 1


async def test_spooled_clip_is_stored_although_closed_at_once(folder, tmp_path):
    audio, clip = noise(3 * MAX_MEMORY_BYTES), Clip(24000, lambda: tmp_path)
    for start in range(0, len(audio), 60_000):
        await clip.append(audio[start : start + 60_000])
    clip.finish()
    async with running(folder) as cache:
        cache.store(NAME, clip)
        clip.close()
        await cache.flush()
        assert await found(cache, NAME) == audio


async def test_incomplete_or_empty_clip_is_not_stored(folder):
    silent, closed = complete(b""), empty()
    closed.close()
    filling, broken = empty(), empty()
    await filling.append(b"abcd")
    await broken.append(b"abcd")
    broken.finish(ClipError("cut"))
    async with running(folder) as cache:
        for clip in (silent, closed, filling, broken):
            cache.store(NAME, clip)
        await cache.flush()
    assert not folder.exists()


async def test_lookup_before_scan_reads_disk(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
    early = Cache(folder, CacheOptions(), KEY_SCHEME)  # not entered: the folder is never scanned
    assert await found(early, NAME) == b"abcd"
    assert await found(early, OTHER) is None


async def test_contains_never_touches_disk(folder, monkeypatch):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        for name in ("scan", "has", "open"):
            monkeypatch.setattr(files.ClipFiles, name, None)
        assert cache.contains(NAME)
        assert not cache.contains(OTHER)
        assert not cache.contains(None)


async def test_concurrent_stores_write_each_clip_once(folder):
    async with running(folder) as cache:
        for number in range(50):
            cache.store(name_of(number % 5), complete(noise(1000, number % 5)))
        await cache.flush()
        assert len(clips(folder)) == 5
        for number in range(5):
            assert await found(cache, name_of(number)) == noise(1000, number)


async def test_state_counts_clips_and_lookups(folder):
    async with running(folder, max_mb=5) as cache:
        assert describe(cache.state)
        await kept(cache, NAME, noise(1_000_000))
        for name in (NAME, NAME, NAME, OTHER):
            await found(cache, name)
        state = cache.state
        assert (state["clips"], state["mb"], state["hits"], state["misses"]) == (1, 1.0, 3, 1)
        assert "75%" in describe(state)


# ---- eviction ----------------------------------------------------------------------------------------


async def test_size_limit_holds_at_every_moment(folder):
    most, stop = 0, asyncio.Event()

    async def watch():
        nonlocal most
        while not stop.is_set():
            most = max(most, on_disk(folder) if folder.exists() else 0)
            await asyncio.sleep(0)

    async with running(folder, max_mb=1) as cache:
        watching = asyncio.create_task(watch())
        for number in range(40):
            await kept(cache, name_of(number), noise(90_000, number))
        stop.set()
        await watching
        assert 800_000 < most <= 1_000_000
        assert clips(folder) == {name_of(number) for number in range(29, 40)}
        assert await found(cache, name_of(39)) == noise(90_000, 39)
        assert await found(cache, name_of(3)) is None


async def test_used_clip_outlives_unused(folder):
    async with running(folder, max_mb=1) as cache:
        for number in range(30):
            await kept(cache, name_of(number), noise(90_000, number))
            assert await found(cache, name_of(0)) is not None
    assert name_of(0) in clips(folder)


async def test_least_recently_used_is_evicted_after_restart(folder):
    async with running(folder, max_mb=1) as cache:
        for number in range(11):
            await kept(cache, name_of(number), noise(90_000, number))
    for number in range(11):
        set_last_use(folder, name_of(number), 1000 if number == 7 else number)
    async with running(folder, max_mb=1) as cache:
        await kept(cache, OTHER, noise(90_000))
    assert clips(folder) == {name_of(number) for number in range(11) if number != 7} | {OTHER}


async def test_hit_is_noted_on_disk(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        set_last_use(folder, NAME, 2 * DAY_S)
        await found(cache, NAME)
        assert (folder / f"{NAME}.clip").stat().st_mtime > time.time() - 100


async def test_unused_clips_are_removed_at_start_except_pinned(folder):
    async with running(folder) as cache:
        for name in (NAME, OTHER, name_of(1)):
            await kept(cache, name, b"abcd")
    for name, days in ((NAME, 3.5), (OTHER, 2.5), (name_of(1), 9)):
        set_last_use(folder, name, days * DAY_S)
    cache = Cache(folder, CacheOptions(max_days=3), KEY_SCHEME)
    cache.pin([name_of(1)])
    async with cache:
        await cache.flush()
        assert clips(folder) == {OTHER, name_of(1)}


async def test_clock_set_back_expires_nothing(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
    set_last_use(folder, NAME, -1000 * DAY_S)
    async with running(folder):
        assert clips(folder) == {NAME}


async def test_pinned_clips_are_not_evicted(folder):
    async with running(folder, max_mb=1) as cache:
        cache.pin([name_of(0), name_of(1)])
        for number in range(20):
            await kept(cache, name_of(number), noise(300_000, number))
        assert clips(folder) == {name_of(0), name_of(1), name_of(19)}
        cache.pin([name_of(0), name_of(1), name_of(19)])
        await kept(cache, OTHER, noise(300_000))
        assert OTHER not in clips(folder)


async def test_lower_limit_evicts_pinned_last(folder):
    async with running(folder, max_mb=5) as cache:
        for number in range(5):
            await kept(cache, name_of(number), noise(450_000, number))
    for number in range(5):
        set_last_use(folder, name_of(number), 100 - number)
    for pinned, left in (({0, 1}, {0, 1}), ({0, 1}, {0, 1})):
        cache = Cache(folder, CacheOptions(max_mb=1), KEY_SCHEME)
        cache.pin(map(name_of, pinned))
        async with cache:
            await cache.flush()
        assert clips(folder) == set(map(name_of, left))
    async with running(folder, max_mb=5) as cache:
        await kept(cache, OTHER, noise(450_000))
    set_last_use(folder, OTHER, 200)
    cache = Cache(folder, CacheOptions(max_mb=1), KEY_SCHEME)
    cache.pin([OTHER, name_of(0), name_of(1)])
    async with cache:
        await cache.flush()
    assert clips(folder) == {name_of(0), name_of(1)}


async def test_oversized_clip_is_not_stored_and_evicts_nothing(folder):
    async with running(folder, max_mb=1) as cache:
        await kept(cache, NAME, noise(300_000))
        await kept(cache, OTHER, noise(500_002))
        assert clips(folder) == {NAME}
    async with running(folder, max_mb=100) as cache:
        await kept(cache, OTHER, noise(MAX_CLIP_BYTES))
        assert clips(folder) == {NAME}


async def test_clip_is_heard_to_its_end_although_removed(folder):
    async with running(folder) as cache:
        audio, clip = noise(300_000), empty()
        await kept(cache, NAME, audio)
        assert await cache.load_into(clip, NAME)
        heard = await clip.read(0)
        cache.clear()
        assert not cache.contains(NAME)
        await cache.flush()
        assert clips(folder) == set()
        while pcm := await clip.read(len(heard) // 2):
            heard += pcm
        assert heard == audio


async def test_disabled_cache_removes_clips(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
    async with running(folder, enabled=False) as cache:
        assert cache.key(announcement(), "Hello.", "http") is None
        assert clips(folder) == set()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 7), st.integers(1, 400_000), st.booleans()), min_size=1, max_size=20
    ),
    pinned=st.sets(st.integers(0, 7), max_size=3),
)
async def test_any_sequence_keeps_limit_and_pinned_clips(tmp_path_factory, steps, pinned):
    folder = tmp_path_factory.mktemp("any") / "cache"
    folder.mkdir()
    async with running(folder, max_mb=1) as cache:
        cache.pin(map(name_of, pinned))
        stored = set()
        for number, frames, use in steps:
            if use:
                await found(cache, name_of(number))
            else:
                await kept(cache, name_of(number), bytes(2 * frames))
            assert on_disk(folder) <= 1_000_000
            assert stored & set(map(name_of, pinned)) <= clips(folder)
            stored = clips(folder)
            assert stored == {name_of(number) for number in range(8) if cache.contains(name_of(number))}


# ---- damaged, full, hanging --------------------------------------------------------------------------


async def test_damaged_clip_is_a_miss_and_can_be_stored_again(folder, caplog):
    async with running(folder) as cache:
        await kept(cache, NAME, noise(1000))
        (folder / f"{NAME}.clip").write_bytes(b"short")
        assert await found(cache, NAME) is None
        assert caplog.text.count(NAME) == 1
        assert not cache.contains(NAME)
        await kept(cache, NAME, noise(1000, 2))
        assert await found(cache, NAME) == noise(1000, 2)


async def test_removed_file_is_a_miss(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        (folder / f"{NAME}.clip").unlink()
        assert await found(cache, NAME) is None
        assert not cache.contains(NAME)


async def test_disk_full_in_mid_write_is_logged_once(folder, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with running(folder) as cache:
        await kept(cache, NAME, noise(100_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
        try:
            for number in range(3):
                await kept(cache, name_of(number), noise(200_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caplog.text.count(str(folder)) == 1
        assert clips(folder) == {NAME}
        assert not list(folder.glob("*.part"))
        assert await found(cache, NAME) == noise(100_000)


async def test_disk_that_has_room_again_is_used(folder, caplog):
    caplog.set_level(logging.INFO)
    async with Cache(folder, CacheOptions(), KEY_SCHEME, reserve_bytes=1 << 62) as cache:
        await kept(cache, NAME, b"abcd")
        assert not cache.contains(NAME)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        cache._files._reserve_bytes = 0
        await kept(cache, NAME, b"abcd")
        assert await found(cache, NAME) == b"abcd"
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_file_in_place_of_folder_is_logged_once(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file in its place")
    async with running(tmp_path / "cache") as cache:
        for _ in range(3):
            await kept(cache, NAME, b"abcd")
        assert await found(cache, NAME) is None
        assert caplog.text.count(str(tmp_path / "cache")) == 1


@pytest.fixture
def hanging(monkeypatch):
    """The names opened on a disk that does not answer until the event is set."""
    asked, answers, opened = [], threading.Event(), files.ClipFiles.open

    def hang(self, name, rate):
        asked.append(name)
        answers.wait()
        return opened(self, name, rate)

    monkeypatch.setattr(files.ClipFiles, "open", hang)
    yield asked, answers
    answers.set()


async def test_hanging_disk_is_not_read_until_it_answers(folder, hanging, caplog):
    asked, answers = hanging
    async with Cache(folder, CacheOptions(), KEY_SCHEME, open_timeout_s=0.05) as cache:
        await kept(cache, NAME, b"abcd")
        await kept(cache, OTHER, b"efgh")
        for _ in range(40):
            assert await found(cache, NAME) is None
            assert await found(cache, OTHER) is None
        assert asked == [NAME]
        assert (cache.hits, cache.misses) == (0, 80)
        assert caplog.text.count(str(folder)) == 1
        answers.set()
        while await found(cache, OTHER) != b"efgh":
            await asyncio.sleep(0.01)
        assert await found(cache, NAME) == b"abcd"


async def test_hanging_lookups_leave_executor_free(folder, hanging):
    asked, _ = hanging
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        looking = [asyncio.create_task(found(cache, NAME)) for _ in range(40)]
        while len(asked) < 40:
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(str, 1) == "1"
        assert not any(task.done() for task in looking)
        assert await asyncio.gather(*looking) == [None] * 40


async def test_pending_writes_are_bounded_while_disk_hangs(folder, hanging, monkeypatch):
    _, answers = hanging
    monkeypatch.setattr(files.ClipFiles, "write", lambda *_: answers.wait())
    async with Cache(folder, CacheOptions(), KEY_SCHEME, close_timeout_s=0.1) as cache:
        for number in range(40):
            cache.store(name_of(number), complete(b"abcd"))
            await asyncio.sleep(0)
        assert cache._jobs.qsize() <= 8


def test_hanging_disk_does_not_block_exit(folder, hanging, monkeypatch):
    _, answers = hanging
    monkeypatch.setattr(files.ClipFiles, "write", lambda *_: answers.wait())

    async def use():
        async with Cache(
            folder, CacheOptions(), KEY_SCHEME, open_timeout_s=0.1, close_timeout_s=0.1
        ) as cache:
            await cache.flush()
            cache.store(NAME, complete(b"abcd"))
        assert await found(Cache(folder, CacheOptions(), KEY_SCHEME, open_timeout_s=0.1), NAME) is None

    asyncio.run(use())
    assert not answers.is_set()
