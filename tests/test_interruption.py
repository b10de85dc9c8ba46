"""Where a turn is cut and where it goes on, in a clip that may still be filled."""

import asyncio
import sys

import pytest

from edgevoice.speaker import interruption
from edgevoice.speaker.interruption import resume_from, until_pause
from tests.support.announcements import turn
from tests.support.bursts import text_of
from tests.support.speech import samples

RATE = 24_000
BURSTS = samples(text_of(range(12)), RATE)


async def said(seconds, *, made=None, ended=True):
    """A turn that was heard for so long, of a clip of which so much is made."""
    one = turn()
    await one.speech.clip.append(BURSTS[: round((made or seconds) * RATE) * 2])
    if ended:
        one.speech.clip.finish()
    one.sound(0.0)
    one.heard(round(seconds * RATE))
    return one


async def heard_on(one, seconds, steps=20):
    """It is heard in real time, in periods."""
    for _ in range(round(seconds * 1000 / steps)):
        await asyncio.sleep(steps / 1000)
        one.heard(one.position + RATE * steps // 1000)


@pytest.mark.parametrize(
    ("cut", "goes_on"), [(1.0, 0), (2.5, 1.72), (3.5, 3.42), (10.0, 8.92), (20.3, 19.72)]
)
@pytest.mark.parametrize("ended", [True, False])
async def test_it_goes_on_from_the_last_pause_before_the_cut_also_while_its_clip_is_still_filled(
    cut, goes_on, ended
):
    one = await said(cut, made=cut + 0.5, ended=ended)
    assert await resume_from(one) == round(goes_on * RATE)


async def test_never_before_where_it_last_went_on():
    one = await said(5.2)
    one.interrupt(1, 0.0)
    one.resume(await resume_from(one))
    place = one.position
    for extra in (0.02, 0.05, 0.03):
        one.heard(place + round(extra * RATE))
        one.interrupt(2, 0.0)
        one.resume(await resume_from(one))
        assert one.position >= place


async def test_a_long_clip_is_read_back_from_the_disk_only_as_far_as_is_looked_at():
    one = turn()
    for _ in range(20):
        await one.speech.clip.append(BURSTS)
    one.heard(round(200.3 * RATE))
    frame = await resume_from(one)
    assert 198.0 * RATE < frame < 200.3 * RATE


async def test_the_pause_is_waited_for_until_it_is_heard():
    one = await said(1.2, made=6)
    waiting = asyncio.create_task(until_pause(one))
    await heard_on(one, 0.24)
    assert not waiting.done()
    await heard_on(one, 0.3)
    await waiting
    assert 1.58 * RATE <= one.position < 1.8 * RATE


async def test_not_longer_than_2_s_where_there_is_none(monkeypatch):
    monkeypatch.setattr(interruption, "NEXT_PAUSE", 0.2)
    one = await said(0.2, made=1.2, ended=False)
    async with asyncio.timeout(5):
        await until_pause(one)
    assert one.position == round(0.2 * RATE)


async def test_behind_all_that_is_made_it_is_silent_already(monkeypatch):
    monkeypatch.setattr(interruption, "NEXT_PAUSE", 60)
    one = await said(1.2, ended=False)
    async with asyncio.timeout(5):
        await until_pause(one)


async def test_a_pause_that_is_made_only_now_is_found(monkeypatch):
    monkeypatch.setattr(interruption, "NEXT_PAUSE", 60)
    one = await said(1.0, made=1.3, ended=False)
    waiting = asyncio.create_task(until_pause(one))
    await heard_on(one, 0.2)
    await one.speech.clip.append(BURSTS[round(1.3 * RATE) * 2 : round(3 * RATE) * 2])
    await heard_on(one, 0.5)
    async with asyncio.timeout(5):
        await waiting
    assert one.position >= round(1.58 * RATE)


async def test_the_loop_goes_on_while_numpy_is_loaded_and_used():
    """Whatever looks into audio does so in a thread."""
    used = []
    one = await said(20.3)

    def traced(frame, event, _arg):
        if event == "call" and "edgevoice/speaker/pauses.py" in frame.f_code.co_filename:
            used.append(frame.f_code.co_name)

    sys.setprofile(traced)  # of this thread alone
    try:
        await resume_from(one)
        await until_pause(one)
    finally:
        sys.setprofile(None)
    assert used == []
