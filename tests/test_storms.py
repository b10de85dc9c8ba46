"""Storms: who is suppressed, and how many are told of in one sentence, once it is calm."""

import random

import pytest

from edgevoice.announcement import Urgency
from edgevoice.intake.buckets import Rate, TokenBucket
from edgevoice.intake.storms import CALM, LONGEST, MOST_TOPICS, RateLimiter, RateLimits, SuppressedBurst
from tests.support.announcements import announcement

SIX = Rate(6, 6)


def admitted(storms, count, now=0.0, topic="garage", urgency=Urgency.NORMAL):
    """How many of so many are admitted at one moment."""
    return sum(storms.admits(announcement(urgency), topic, now) for _ in range(count))


def test_a_topic_may_bring_its_burst_and_then_as_many_as_its_rate():
    storms = RateLimiter(RateLimits(per_topic=SIX))
    assert admitted(storms, 10) == 6
    assert admitted(storms, 10, topic="door") == 6
    assert admitted(storms, 10, now=9.9) == 0
    assert admitted(storms, 10, now=10) == 1
    assert admitted(storms, 10, now=3600) == 6


def test_all_together_may_bring_as_many_as_the_total():
    storms = RateLimiter(RateLimits(per_topic=SIX, total=Rate(20, 8)))
    assert admitted(storms, 6) + admitted(storms, 6, topic="door") == 8
    # What the total refused takes nothing from its topic.
    assert admitted(storms, 4, now=60, topic="door") == 4


def test_critical_is_exempt_up_to_a_limit_of_its_own():
    storms = RateLimiter(RateLimits(per_topic=SIX, total=SIX, critical=Rate(10, 10)))
    admitted(storms, 20)
    assert admitted(storms, 20, urgency=Urgency.CRITICAL) == 10
    assert storms.finished_bursts(CALM) == [SuppressedBurst("garage", "all", 14 + 10)]


def test_without_limits_all_are_admitted():
    assert admitted(RateLimiter(RateLimits()), 1000) == 1000


def test_the_overflow_is_told_once_when_it_is_calm():
    storms = RateLimiter(RateLimits(per_topic=SIX))
    assert storms.next_wakeup(0) is None
    admitted(storms, 10, now=0)
    admitted(storms, 13, now=5)
    assert storms.next_wakeup(5) == CALM
    assert storms.finished_bursts(5 + CALM - 0.1) == []
    assert storms.finished_bursts(5 + CALM) == [SuppressedBurst("garage", "all", 17)]
    assert (storms.finished_bursts(1000), storms.next_wakeup(1000)) == ([], None)


def test_a_storm_that_goes_on_is_told_of_once_a_minute():
    storms, told = RateLimiter(RateLimits(per_topic=SIX)), []
    for tenth in range(1800):
        storms.try_acquire(announcement(), "garage", tenth / 10)
        told += [(tenth / 10, storm.count) for storm in storms.finished_bursts(tenth / 10)]
    assert len(told) == 2
    assert told[0][0] <= 1 + LONGEST


def test_the_topics_that_are_remembered_are_bounded():
    storms = RateLimiter(RateLimits(per_topic=SIX))
    for number in range(3 * MOST_TOPICS):
        storms.try_acquire(announcement(), f"t{number}", number / 1000)
    assert len(storms._topics) <= MOST_TOPICS


@pytest.mark.parametrize("seed", range(5))
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate(seed):
    dice, now, taken = random.Random(seed), 0.0, []
    bucket = TokenBucket(Rate(30, 5), now)
    for _ in range(2000):
        now += dice.choice([0, 0.1, 1, 7])
        if bucket.can_take(now):
            bucket.take(now)
            taken.append(now)
        else:
            now += 2  # a token comes back every two seconds
            assert bucket.can_take(now)
    for first in range(0, len(taken), 7):
        within = [moment for moment in taken[first:] if moment <= taken[first] + 60]
        assert len(within) <= 5 + 30 + 1
