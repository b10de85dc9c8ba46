"""The account's places: never more than there are, the more urgent first, and none is ever lost."""

import asyncio
import contextlib
import random

import pytest

from edgevoice import Urgency
from edgevoice.announcement import Priority
from edgevoice.synthesis.concurrency import ConcurrencyLimiter, Preempted
from tests.support.requester import Requester

LOW, NORMAL, HIGH, CRITICAL = Urgency


class Request:
    """Holds a place until told; asks again when its place was taken back, as synthesis does."""

    def __init__(self, limiter, urgency, log=None, name="", *, again=False, need=Priority.NEEDED_NOW):
        self.requester, self.name = Requester(urgency, need), name
        self.done, self.inside = asyncio.Event(), asyncio.Event()
        self.preempted = 0
        self._limiter, self._log, self._again = limiter, log if log is not None else [], again
        self.task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            try:
                async with self._limiter.acquire(self.requester):
                    self._log.append(self.name)
                    self.inside.set()
                    await self.done.wait()
                    return
            except Preempted:
                self.inside.clear()
                self.preempted += 1
                if not self._again:
                    raise


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_more_urgent_goes_first_and_within_one_urgency_the_older():
    limiter, log = ConcurrencyLimiter(1), []
    first = Request(limiter, CRITICAL, log, "held")
    await first.inside.wait()
    waiting = [
        Request(limiter, urgency, log, name)
        for urgency, name in [
            (LOW, "low"),
            (NORMAL, "normal 1"),
            (HIGH, "high"),
            (NORMAL, "normal 2"),
            (CRITICAL, "critical"),
        ]
    ]
    await settle()
    assert len(limiter._waiting) == 5
    for request in [first, *waiting]:
        request.done.set()
    await asyncio.gather(*(request.task for request in waiting))
    assert log == ["held", "critical", "high", "normal 1", "normal 2", "low"]


async def test_a_running_request_gives_its_place_to_a_more_urgent_one_and_has_it_back_later():
    limiter, log = ConcurrencyLimiter(1), []
    less = Request(limiter, NORMAL, log, "normal", again=True)
    await less.inside.wait()
    more = Request(limiter, HIGH, log, "high")
    await more.inside.wait()
    assert less.preempted == 1
    assert not less.inside.is_set()
    more.done.set()
    await less.inside.wait()
    less.done.set()
    await less.task
    assert log == ["normal", "high", "normal"]


async def test_equal_or_lower_priority_never_preempts():
    limiter = ConcurrencyLimiter(1)
    holder = Request(limiter, NORMAL)
    await holder.inside.wait()
    others = [Request(limiter, NORMAL), Request(limiter, LOW)]
    await settle()
    assert holder.inside.is_set()
    for request in [holder, *others]:
        request.done.set()
    await asyncio.gather(holder.task, *(other.task for other in others))


async def test_of_two_holders_the_less_urgent_and_of_those_the_later_gives_way():
    limiter = ConcurrencyLimiter(2)
    high, low = Request(limiter, HIGH), Request(limiter, LOW)
    await asyncio.gather(high.inside.wait(), low.inside.wait())
    more = Request(limiter, CRITICAL)
    await more.inside.wait()
    with pytest.raises(Preempted):
        await low.task
    later = Request(limiter, CRITICAL)
    await later.inside.wait()
    with pytest.raises(Preempted):
        await high.task
    for request in (more, later):
        request.done.set()
        await request.task


async def test_slot_that_is_not_used_yet_is_preempted():
    limiter, log = ConcurrencyLimiter(1), []
    first = Request(limiter, LOW, log, "first")
    await first.inside.wait()
    less = Request(limiter, LOW, log, "less", again=True)
    await settle()
    first.done.set()
    more = Request(
        limiter, CRITICAL, log, "more"
    )  # asks between the end of the first and the turn of the next
    await more.inside.wait()
    assert less.preempted == 1
    more.done.set()
    less.done.set()
    await less.task
    assert log == ["first", "more", "less"]


async def test_an_error_of_the_body_is_not_taken_for_a_preemption():
    limiter = ConcurrencyLimiter(1)
    for error in (TimeoutError("its own"), ValueError("its own")):
        with pytest.raises(type(error), match="its own"):
            async with limiter.acquire(Requester(LOW)):
                raise error
    async with limiter.acquire(Requester(LOW)):
        pass


async def test_a_timeout_around_a_holder_is_a_timeout_even_when_it_is_preempted_too():
    limiter = ConcurrencyLimiter(1)

    async def body():
        async with asyncio.timeout(0.01), limiter.acquire(Requester(LOW)):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await body()
    async with limiter.acquire(Requester(LOW)):
        pass


@pytest.mark.parametrize("seed", range(60))
async def test_cancellations_at_any_point_never_lose_a_place_nor_make_one(seed):
    dice = random.Random(seed)
    places = dice.choice([1, 2, 3])
    limiter, inside, crowd = ConcurrencyLimiter(places), set(), []

    async def breathe(most):
        for _ in range(dice.randint(0, most)):
            await asyncio.sleep(0)

    async def work(number):
        inside.add(number)
        crowd.append(len(inside))
        try:
            await breathe(6)
        finally:
            inside.discard(number)

    async def request(number, urgency):
        done = False
        while not done:
            with contextlib.suppress(Preempted):
                async with limiter.acquire(Requester(urgency)):
                    await work(number)
                    done = True

    tasks = []
    for number in range(60):
        tasks.append(asyncio.create_task(request(number, dice.choice(list(Urgency)))))
        await breathe(3)
        if dice.random() < 0.4:
            dice.choice(tasks).cancel()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert max(crowd) <= places
    assert not limiter._waiting
    assert not limiter._holding
    assert not {repr(task.exception()) for task in tasks if not task.cancelled()} - {"None"}
    await all_places_are_free(limiter, places)


async def all_places_are_free(limiter, places):
    holders = [Request(limiter, CRITICAL) for _ in range(places)]
    await asyncio.gather(*(holder.inside.wait() for holder in holders))
    for holder in holders:
        holder.done.set()
        await holder.task


async def test_priority_is_needed_now_then_prefetch_then_prerender():
    limiter, log = ConcurrencyLimiter(1), []
    first = Request(limiter, CRITICAL, log, "held")
    await first.inside.wait()
    waiting = [
        Request(limiter, urgency, log, f"{need.name} {urgency}", need=need)
        for need in Priority
        for urgency in (LOW, CRITICAL)
    ]
    await settle()
    for request in [first, *waiting]:
        request.done.set()
    await asyncio.gather(*(request.task for request in waiting))
    order = [
        f"{need} {urgency}" for need in ("NEEDED_NOW", "PREFETCH", "PRERENDER") for urgency in (CRITICAL, LOW)
    ]
    assert log == ["held", *order]


async def test_prefetch_is_preempted_until_it_is_needed_now():
    limiter, log = ConcurrencyLimiter(1), []
    ahead = Request(limiter, HIGH, log, "ahead", again=True, need=Priority.PREFETCH)
    await ahead.inside.wait()
    now = Request(limiter, NORMAL, log, "now", again=True)
    await now.inside.wait()
    assert ahead.preempted == 1
    ahead.requester.need = Priority.NEEDED_NOW
    limiter.rebalance()
    await ahead.inside.wait()
    assert now.preempted == 1
    for request in (ahead, now):
        request.done.set()
        await request.task
    assert log == ["ahead", "now", "ahead", "now"]


@pytest.mark.parametrize("begun", [True, False])
async def test_cancelled_waiter_leaks_no_slot(begun):
    limiter, log = ConcurrencyLimiter(1), []
    holder = Request(limiter, NORMAL, log, "holder")
    if begun:
        await holder.inside.wait()
    else:
        await asyncio.sleep(0)
    waiter = limiter.acquire(Requester(CRITICAL)).__aenter__()
    waiter.send(None)
    with pytest.raises(asyncio.CancelledError):
        waiter.throw(asyncio.CancelledError())
    await settle()
    assert not holder.preempted
    holder.done.set()
    await holder.task
    assert log == ["holder"]


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_slot_of_a_request_whose_clean_up_hangs_is_released(is_cancelled):
    limiter = ConcurrencyLimiter(1, release_timeout_s=0.05)
    end, begun, slots = asyncio.Event(), asyncio.Event(), []

    async def hang():
        async with limiter.acquire(Requester(LOW)) as slot:
            slots.append(slot)
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                with contextlib.suppress(asyncio.CancelledError):
                    await end.wait()
                await end.wait()

    task = asyncio.create_task(hang())
    await begun.wait()
    if is_cancelled:
        task.cancel()
    async with asyncio.timeout(1):
        if is_cancelled:
            await settle()
            slots[0].release()
        async with limiter.acquire(Requester(CRITICAL)):
            pass
    end.set()
    await asyncio.gather(task, return_exceptions=True)
    await all_places_are_free(limiter, 1)
