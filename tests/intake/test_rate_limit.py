"""Which announcements are suppressed, and the bursts of them that are reported."""

import random

import pytest

from edgevoice.announcement import Urgency
from edgevoice.intake.rate_limit import (
    CALM_S,
    CRITICAL_GUARANTEE,
    MAX_BURST_S,
    MAX_TRACKED,
    RateLimiter,
    TokenBuckets,
)
from tests.support.announcements import announcement, limits, rate

LOW, NORMAL, HIGH, CRITICAL = Urgency
SIX = rate(6, 6)


def allowed(limiter, count, now=0.0, topic="garage", urgency=NORMAL, **more):
    """How many of this many are allowed at one moment; a text with {} is another one each time."""
    text = more.pop("text", "Hello.")
    asked = [announcement(urgency, text=text.format(number), **more) for number in range(count)]
    return sum(limiter.try_acquire(one, topic, now) for one in asked)


def reported(limiter, now):
    return [(burst.topic, burst.target, burst.count) for burst in limiter.finished_bursts(now)]


@pytest.mark.parametrize("text", ["Hello.", "Number {}."])
def test_a_topic_has_its_burst_and_then_its_rate(text):
    limiter = RateLimiter(limits(per_topic=SIX))
    assert allowed(limiter, 10, text=text) == 6
    assert allowed(limiter, 10, text=text, topic="door") == 6
    later = text.replace("Number", "Later")
    assert allowed(limiter, 10, text=later, now=9.9) == 0
    assert allowed(limiter, 10, text=later, now=10) == 1
    assert allowed(limiter, 10, text=later, now=3600) == 6


def test_all_topics_together_have_the_total():
    limiter = RateLimiter(limits(per_topic=SIX, total=rate(20, 8)))
    assert allowed(limiter, 6) + allowed(limiter, 6, topic="door") == 8
    # What the total refused took nothing from its topic.
    assert allowed(limiter, 4, now=60, topic="door") == 4


@pytest.mark.parametrize("urgency", [NORMAL, HIGH])
def test_low_messages_cost_no_more_urgent_one(urgency):
    limiter = RateLimiter(limits(per_topic=SIX, total=SIX))
    assert allowed(limiter, 20, urgency=LOW, text="Number {}.") == 6
    assert allowed(limiter, 1, urgency=urgency, text="The doorbell.") == 1


def test_a_message_that_repeats_does_not_silence_the_others_of_its_topic():
    limiter = RateLimiter(limits(per_topic=SIX))
    assert allowed(limiter, 100, text="The door is open.") == 6
    assert allowed(limiter, 3, text="Number {}.") == 3


def test_a_tag_has_a_rate_of_its_own():
    limiter = RateLimiter(limits(per_topic=SIX))
    assert allowed(limiter, 100, text="Number {}.", tag="door") == 6
    assert allowed(limiter, 6, text="Number {}.", tag="window") == 6


def test_critical_ones_are_never_suppressed_below_sixty_a_minute_in_all():
    limiter = RateLimiter(limits(critical=rate(1, 1)))
    for second in range(600):
        assert allowed(limiter, 1, now=float(second), urgency=CRITICAL, text="Fire.") == 1
    assert rate(60, 60) == CRITICAL_GUARANTEE


def test_a_chattering_critical_sensor_does_not_cost_a_smoke_alarm():
    limiter = RateLimiter(limits(critical=rate(10, 10)))
    chatter = 0
    for half_second in range(600):
        now = half_second / 2
        chatter += allowed(limiter, 1, now=now, urgency=CRITICAL, text="Water.")
        if half_second % 100 == 99:
            assert allowed(limiter, 1, now=now, urgency=CRITICAL, text=f"Smoke {half_second}.") == 1
    assert chatter <= 60 + 10 + 5 * (60 + 10)


def test_critical_ones_take_nothing_from_the_others():
    limiter = RateLimiter(limits(per_topic=SIX, total=SIX, critical=SIX))
    allowed(limiter, 500, urgency=CRITICAL)
    assert allowed(limiter, 6, urgency=NORMAL) == 6


def test_without_limits_all_are_allowed():
    assert allowed(RateLimiter(limits()), 1000) == 1000
    assert allowed(RateLimiter(limits()), 1000, urgency=CRITICAL) == 1000


def test_asking_what_would_be_allowed_counts_nothing():
    limiter = RateLimiter(limits(per_topic=rate(1, 1)))
    for wanted in (True, False):
        assert [limiter.would_allow(announcement(), "garage", 0.0) for _ in range(3)] == [wanted] * 3
        limiter.try_acquire(announcement(), "garage", 0.0)
    assert reported(limiter, CALM_S) == [("garage", "all", 1)]


def test_a_burst_is_reported_once_when_it_is_over():
    limiter = RateLimiter(limits(per_topic=SIX))
    assert limiter.next_wakeup(0) is None
    allowed(limiter, 10, now=0)
    allowed(limiter, 13, now=5)
    assert limiter.next_wakeup(5) == CALM_S
    assert reported(limiter, 5 + CALM_S - 0.1) == []
    assert reported(limiter, 5 + CALM_S) == [("garage", "all", 17)]
    assert (reported(limiter, 1000), limiter.next_wakeup(1000)) == ([], None)


def test_a_burst_that_goes_on_is_reported_once_a_minute():
    limiter, told = RateLimiter(limits(per_topic=SIX)), []
    for tenth in range(1800):
        limiter.try_acquire(announcement(), "garage", tenth / 10)
        told += [(tenth / 10, burst.count) for burst in limiter.finished_bursts(tenth / 10)]
    assert len(told) == 2
    assert told[0][0] <= 1 + MAX_BURST_S


@pytest.mark.parametrize("urgency", [NORMAL, CRITICAL])
def test_memory_is_bounded(urgency):
    limiter = RateLimiter(limits(per_topic=SIX, total=SIX, critical=SIX))
    for number in range(3 * MAX_TRACKED):
        one = announcement(urgency, text=f"t{number}")
        limiter.try_acquire(one, f"t{number}", number / 1000)
    kept = (limiter._topics, limiter._texts, limiter._critical_texts, limiter._bursts)
    assert max(len(buckets) for buckets in kept) <= MAX_TRACKED


@pytest.mark.parametrize("seed", range(5))
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate(seed):
    dice, now, taken = random.Random(seed), 0.0, []
    bucket = TokenBuckets(rate(30, 5))
    for _ in range(2000):
        now += dice.choice([0, 0.1, 1, 7])
        if bucket.can_take("a", now):
            bucket.take("a", now)
            taken.append(now)
        else:
            now += 2  # a token comes back every two seconds
            assert bucket.can_take("a", now)
    for first in range(0, len(taken), 7):
        within = [moment for moment in taken[first:] if moment <= taken[first] + 60]
        assert len(within) <= 5 + 30 + 1


def test_a_bucket_gives_its_whole_burst_also_where_the_times_of_its_tokens_are_not_exact():
    for per_minute in range(1, 200):
        bucket = TokenBuckets(rate(per_minute, 50))
        for _ in range(50):
            assert bucket.can_take("a", 1e6)
            bucket.take("a", 1e6)
        assert not bucket.can_take("a", 1e6)
