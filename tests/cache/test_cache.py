"""The cache gives back what it was given, within its limits, and a disk that fails harms nothing else."""

import asyncio
import logging
import os
import resource
import threading
import time

import pytest

from edgevoice.audio.clip import MAX_MEMORY_BYTES, Clip
from edgevoice.cache import cache as cache_itself
from edgevoice.cache import cache as cache_writer
from edgevoice.cache import files as cache_folder
from edgevoice.cache.cache import Cache, describe
from edgevoice.config.options import MAX_CLIP_BYTES, CacheOptions
from edgevoice.errors import ClipError
from tests.support.announcements import announcement
from tests.support.caches import (
    NAME,
    OTHER,
    RECIPE,
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

DAY = 86_400


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.mark.parametrize("size", [2, 1000, MAX_MEMORY_BYTES, MAX_MEMORY_BYTES + 2, MAX_CLIP_BYTES - 5000])
async def test_a_clip_comes_back_byte_for_byte(folder, size, tmp_path):
    audio = noise(size)
    async with running(folder) as cache:
        await kept(cache, NAME, audio)
        assert await found(cache, NAME) == audio
        assert (cache.hits, cache.misses) == (1, 0)
    async with running(folder) as cache:
        assert cache.contains(NAME)
        assert await found(cache, NAME) == audio


async def test_a_clip_that_was_spooled_and_closed_at_once_is_kept_whole(folder, tmp_path):
    audio, clip = noise(3 * MAX_MEMORY_BYTES), Clip(24000, lambda: tmp_path)
    for start in range(0, len(audio), 60_000):
        await clip.append(audio[start : start + 60_000])
    clip.finish()
    async with running(folder) as cache:
        cache.store(NAME, clip)
        clip.close()
        await cache.written()
        assert await found(cache, NAME) == audio


async def test_what_is_not_there_leaves_the_clip_as_it_was(folder):
    async with running(folder) as cache:
        clip = empty()
        assert not await cache.load_into(clip, NAME)
        assert not clip.ended
        assert (cache.hits, cache.misses) == (0, 1)
        assert not await cache.load_into(clip, None)
        assert cache.misses == 1


async def test_a_clip_that_is_not_complete_or_says_nothing_is_not_kept(folder):
    failed, closed = complete(b""), empty()
    closed.close()
    filling, broken = empty(), empty()
    await filling.append(b"abcd")
    await broken.append(b"abcd")
    broken.finish(ClipError("cut"))
    async with running(folder) as cache:
        for clip in (failed, closed, filling, broken):
            cache.store(NAME, clip)
        await cache.written()
    assert not folder.exists()


async def test_before_the_folder_was_seen_clips_are_found_all_the_same(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
    async with Cache(folder, CacheOptions(), RECIPE) as early:
        assert early.contains(NAME)
        assert not early.contains(OTHER)
        assert await found(early, NAME) == b"abcd"
        assert await found(early, OTHER) is None


async def test_the_limit_holds_at_every_moment(folder):
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


async def test_what_is_said_often_outlives_what_is_said_once(folder):
    async with running(folder, max_mb=1) as cache:
        for number in range(30):
            await kept(cache, name_of(number), noise(90_000, number))
            assert await found(cache, name_of(0)) is not None
    assert name_of(0) in clips(folder)


async def test_after_a_restart_the_least_recently_used_goes_first(folder):
    async with running(folder, max_mb=1) as cache:
        for number in range(11):
            await kept(cache, name_of(number), noise(90_000, number))
    for number in range(11):
        used = time.time() - (1000 if number == 7 else number)
        os.utime(folder / f"{name_of(number)}.clip", (used, used))
    async with running(folder, max_mb=1) as cache:
        await kept(cache, OTHER, noise(90_000))
    assert clips(folder) == {name_of(number) for number in range(11) if number != 7} | {OTHER}


async def test_what_was_not_used_for_too_long_is_gone_at_start(folder):
    async with running(folder) as cache:
        for name in (NAME, OTHER, name_of(1)):
            await kept(cache, name, b"abcd")
    for name, days in ((NAME, 3.5), (OTHER, 2.5), (name_of(1), 9)):
        os.utime(folder / f"{name}.clip", (time.time() - days * DAY,) * 2)
    async with Cache(folder, CacheOptions(max_days=3), RECIPE) as cache:
        cache.pin([name_of(1)])
        task = asyncio.create_task(cache.run())
        await cache.known()
        await cache.written()
        assert clips(folder) == {OTHER, name_of(1)}
        task.cancel()


async def test_a_use_after_a_day_is_noted_on_the_disk_and_the_next_one_is_not(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
    file = folder / f"{NAME}.clip"
    os.utime(file, (time.time() - 2 * DAY,) * 2)
    async with running(folder) as cache:
        await found(cache, NAME)
        noted = file.stat().st_mtime
        assert noted > time.time() - 100
        os.utime(file, (5, 5))
        await found(cache, NAME)
        assert file.stat().st_mtime == 5


async def test_a_damaged_clip_is_told_of_and_can_be_kept_anew(folder, caplog):
    async with running(folder) as cache:
        await kept(cache, NAME, noise(1000))
        (folder / f"{NAME}.clip").write_bytes(b"short")
        assert await found(cache, NAME) is None
        assert "damaged" in caplog.text
        assert not cache.contains(NAME)
        await kept(cache, NAME, noise(1000, 2))
        assert await found(cache, NAME) == noise(1000, 2)


async def test_a_clip_that_somebody_removed_is_a_miss(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        (folder / f"{NAME}.clip").unlink()
        assert await found(cache, NAME) is None
        assert not cache.contains(NAME)


async def test_what_is_read_while_it_has_to_go_is_heard_to_its_end(folder):
    async with running(folder) as cache:
        audio, clip = noise(300_000), empty()
        await kept(cache, NAME, audio)
        assert await cache.load_into(clip, NAME)
        heard = await clip.read(0)
        cache.clear()
        await cache.written()
        assert clips(folder) == set()
        while pcm := await clip.read(len(heard) // 2):
            heard += pcm
        assert heard == audio


async def test_of_many_at_once_each_is_kept_once_or_not_at_all(folder):
    async with running(folder) as cache:
        for number in range(50):
            cache.store(name_of(number % 5), complete(noise(1000, number % 5)))
        await cache.written()
        assert len(clips(folder)) == 5
        assert [await found(cache, name_of(number)) for number in range(5)] == [
            noise(1000, number) for number in range(5)
        ]


async def test_off_it_keeps_nothing_and_what_there_was_is_gone(folder):
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
    async with running(folder, enabled=False) as cache:
        assert cache.key(announcement(), "Hello.", "http") is None
        assert clips(folder) == set()


async def test_no_more_is_written_in_a_day_than_a_card_bears(folder, monkeypatch):
    monkeypatch.setattr(cache_writer, "A_DAY", 100_000)
    async with running(folder) as cache:
        for number in range(10):
            await kept(cache, name_of(number), noise(20_000, number))
        assert clips(folder) == {name_of(number) for number in range(4)}


async def test_a_disk_that_is_full_in_the_middle_of_a_clip_is_told_once_and_harms_nothing(folder, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with running(folder) as cache:
        await kept(cache, NAME, noise(100_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
        try:
            for number in range(3):
                await kept(cache, name_of(number), noise(200_000))
                cache._writer._rests_until = 1.0  # as if the rest were over
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caplog.text.count("nothing is kept in the cache") == 1
        assert clips(folder) == {NAME}
        assert not list(folder.glob("*.part"))
        assert await found(cache, NAME) == noise(100_000)


async def test_after_a_rest_the_disk_is_tried_again(folder, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(cache_folder, "RESERVE_BYTES", 1 << 62)
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        assert "No space left on device" in caplog.text
        monkeypatch.setattr(cache_folder, "RESERVE_BYTES", 0)
        await kept(cache, NAME, b"abcd")
        assert not cache.contains(NAME)
        cache._writer._rests_until = 1.0  # as if the rest were over
        await kept(cache, NAME, b"abcd")
        assert await found(cache, NAME) == b"abcd"
        assert "can be written again" in caplog.text


async def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file in its place")
    async with running(tmp_path / "cache") as cache:
        for _ in range(3):
            await kept(cache, NAME, b"abcd")
        assert await found(cache, NAME) is None
        assert caplog.text.count("nothing is kept in the cache") == 1


async def test_it_says_in_words_how_much_it_spares(folder):
    async with running(folder, max_mb=5) as cache:
        assert describe(cache.state) == "0 clips, 0 of 5 MB; nothing was looked up yet"
        await kept(cache, NAME, noise(1_000_000))
        for name in (NAME, NAME, NAME, OTHER):
            await found(cache, name)
        assert describe(cache.state) == "1 clip, 1 of 5 MB; 3 of 4 needed no request (75%)"


@pytest.fixture
def hanging(monkeypatch):
    """How often a disk was asked that does not answer, until the event is set."""
    asked, answers, opened = [], threading.Event(), cache_folder.ClipFiles.open

    def hang(self, name, rate, *, note_use=False):
        asked.append(name)
        answers.wait()
        return opened(self, name, rate, note_use=note_use)

    monkeypatch.setattr(cache_folder.ClipFiles, "open", hang)
    yield asked, answers
    answers.set()


async def test_a_disk_that_hangs_is_not_asked_again_until_it_answers(folder, hanging, caplog):
    asked, answers = hanging
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        await kept(cache, OTHER, b"efgh")
        for _ in range(40):
            assert await found(cache, NAME) is None
            assert await found(cache, OTHER) is None
        assert asked == [NAME]
        assert (cache.hits, cache.misses) == (0, 80)
        assert caplog.text.count("the disk is too slow") == 1
        answers.set()
        while await found(cache, OTHER) != b"efgh":
            await asyncio.sleep(0.01)
        assert await found(cache, NAME) == b"abcd"


async def test_however_many_look_ups_hang_other_work_finds_a_thread(folder, hanging):
    asked, _ = hanging
    async with running(folder) as cache:
        await kept(cache, NAME, b"abcd")
        looking = [asyncio.create_task(found(cache, NAME)) for _ in range(40)]
        while len(asked) < 40:
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(str, 1) == "1"
        assert not any(task.done() for task in looking)
        assert await asyncio.gather(*looking) == [None] * 40


def test_a_disk_that_hangs_does_not_keep_the_process_from_ending(folder, hanging, monkeypatch):
    monkeypatch.setattr(cache_itself, "CLOSE_TIMEOUT_S", 0.1)
    _, answers = hanging
    monkeypatch.setattr(cache_folder.ClipFiles, "write", lambda *_: answers.wait())

    async def use():
        async with running(folder) as cache:
            cache.store(NAME, complete(b"abcd"))
        async with Cache(folder, CacheOptions(), RECIPE) as early:
            assert await found(early, NAME) is None

    asyncio.run(use())
    assert not answers.is_set()
