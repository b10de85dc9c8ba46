"""Supervision: what fails is started again, and what must not return counts as failed."""

import asyncio
import contextlib
from itertools import pairwise

import pytest

from edgevoice.daemon import supervise
from tests.support import virtual_time


def started_at(behaviour, seconds: float, **keys: bool) -> list[float]:
    """Return when a component was started within this time."""

    async def main():
        starts = []

        async def component():
            starts.append(asyncio.get_running_loop().time())
            await behaviour()

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await supervise("webhook", component, **keys)
        return [start - starts[0] for start in starts]

    return virtual_time.run(main())


async def fails():
    raise OSError("no socket")


async def exits():
    raise SystemExit(1)


async def returns():
    return


async def lasts():
    await asyncio.sleep(90)
    raise OSError("lost")


@pytest.mark.parametrize("behaviour", [fails, exits, returns])
def test_supervise_starts_again_after_growing_delays(behaviour):
    starts = started_at(behaviour, 600)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert len(starts) > 8
    assert gaps[0] < 1.5
    assert all(gap <= 60 * 1.25 for gap in gaps)
    assert gaps[7] > 40


def test_supervise_lets_a_job_return():
    assert started_at(returns, 600, may_return=True) == [0.0]


def test_supervise_forgets_failures_of_a_stable_component():
    starts = started_at(lasts, 900)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert len(gaps) > 5
    assert all(gap < 90 + 1.5 for gap in gaps)
