"""Where a clip is cut and where it continues, also while it is still being filled."""

import asyncio
import sys
from pathlib import Path

import pytest

from edgevoice.audio.clip import Clip
from edgevoice.playback.player import resume_position, wait_for_pause
from tests.support.bursts import text_of
from tests.support.speech import samples

RATE = 24_000
BURSTS = samples(text_of(range(12)), RATE)


class Heard:
    """A clip that was heard for some seconds, and of which some are made."""

    def __init__(self, seconds):
        self.clip = Clip(RATE, lambda: Path("/var/tmp"))
        self.position = round(seconds * RATE)

    async def resume(self, not_before=0):
        return await resume_position(self.clip, self.position, not_before)

    async def wait_for_pause(self):
        await wait_for_pause(self.clip, lambda: self.position)

    async def goes_on(self, seconds, steps=20):
        """It is heard in real time, in periods."""
        for _ in range(round(seconds * 1000 / steps)):
            await asyncio.sleep(steps / 1000)
            self.position += RATE * steps // 1000


async def said(seconds, *, made=None, ended=True):
    one = Heard(seconds)
    await one.clip.append(BURSTS[: round((made or seconds) * RATE) * 2])
    if ended:
        one.clip.finish()
    return one


@pytest.mark.parametrize(
    ("cut", "goes_on"), [(1.0, 0), (2.5, 1.72), (3.5, 3.42), (10.0, 8.92), (20.3, 19.72)]
)
@pytest.mark.parametrize("ended", [True, False])
async def test_resume_position_is_the_last_pause_while_the_clip_is_filled(cut, goes_on, ended):
    one = await said(cut, made=cut + 0.5, ended=ended)
    assert await one.resume() == round(goes_on * RATE)


async def test_never_before_where_it_last_continued():
    one = await said(5.2)
    place = await one.resume()
    for extra_s in (0.02, 0.05, 0.03):
        one.position = place + round(extra_s * RATE)
        assert await one.resume(not_before=place) >= place


async def test_a_long_clip_is_read_back_from_the_disk_only_as_far_as_is_searched():
    one = Heard(200.3)
    for _ in range(20):
        await one.clip.append(BURSTS)
    assert 198.0 * RATE < await one.resume() < 200.3 * RATE


async def test_the_pause_is_waited_for_until_it_is_heard():
    one = await said(1.2, made=6)
    waiting = asyncio.create_task(one.wait_for_pause())
    await one.goes_on(0.24)
    assert not waiting.done()
    await one.goes_on(0.3)
    await waiting
    assert 1.58 * RATE <= one.position < 1.8 * RATE


async def test_not_longer_than_2_s_where_there_is_none():
    one = await said(0.2, made=1.2, ended=False)
    async with asyncio.timeout(5):
        await one.wait_for_pause()
    assert one.position == round(0.2 * RATE)


async def test_behind_all_that_is_made_it_is_silent_already():
    one = await said(1.2, ended=False)
    async with asyncio.timeout(5):
        await one.wait_for_pause()


async def test_a_pause_that_is_made_only_now_is_found():
    one = await said(1.0, made=1.3, ended=False)
    waiting = asyncio.create_task(one.wait_for_pause())
    await one.goes_on(0.2)
    await one.clip.append(BURSTS[round(1.3 * RATE) * 2 : round(3 * RATE) * 2])
    await one.goes_on(0.5)
    async with asyncio.timeout(5):
        await waiting
    assert one.position >= round(1.58 * RATE)


async def test_the_loop_goes_on_while_numpy_is_loaded_and_used():
    """Whatever looks into audio does so in a thread."""
    used = []
    one = await said(20.3)

    def traced(frame, event, _arg):
        if event == "call" and "edgevoice/audio/silence.py" in frame.f_code.co_filename:
            used.append(frame.f_code.co_name)

    sys.setprofile(traced)  # of this thread alone
    try:
        await one.resume()
        await one.wait_for_pause()
    finally:
        sys.setprofile(None)
    assert used == []
