"""The queue has the order of the contract, drops stale announcements, and never exceeds its limit."""

import math
import random

import pytest

from edgevoice import Urgency
from edgevoice.scheduler.queue import ReadyQueue, Status
from tests.support.scheduler import item

LOW, NORMAL, HIGH, CRITICAL = Urgency


def taken(queue, now=100.0):
    numbers = []
    while (first := next(queue.ready(now), None)) is not None:
        queue.items.remove(first)
        numbers.append(first.sequence)
    return numbers


def test_the_most_urgent_is_first_then_the_oldest():
    queue = ReadyQueue(10)
    for number, urgency in enumerate([NORMAL, LOW, HIGH, NORMAL, CRITICAL, HIGH]):
        assert queue.add(item(number, urgency)) is None
    assert [waiting.sequence for waiting in queue.items] == taken(queue) == [4, 2, 5, 0, 3, 1]


def test_the_interrupted_go_before_the_waiting_of_their_urgency_and_the_last_of_them_first():
    queue = ReadyQueue(10)
    turns = [item(number, urgency) for number, urgency in enumerate([NORMAL, NORMAL, NORMAL, HIGH, LOW])]
    turns[1].precedence, turns[2].precedence, turns[4].precedence = 1, 2, 3
    for waiting in turns:
        queue.add(waiting)
    assert taken(queue) == [3, 2, 1, 0, 4]


@pytest.mark.parametrize("seed", range(20))
def test_a_full_queue_gives_up_the_least_urgent_and_of_those_the_oldest(seed):
    dice, queue, kept = random.Random(seed), ReadyQueue(5), []
    for number in range(40):
        new = item(number, dice.choice(list(Urgency)))
        kept.append(new)
        given_up = queue.add(new)
        if len(kept) > 5:
            expected = min(kept, key=lambda each: (each.announcement.urgency.rank, each.sequence))
            kept.remove(expected)
            assert given_up is expected
        else:
            assert given_up is None
        assert set(queue.items) == set(kept)
    assert len(queue.items) == 5


def test_item_waits_until_it_is_due():
    queue = ReadyQueue(5)
    queue.add(item(1, CRITICAL, not_before=50))
    queue.add(item(2))
    assert next(queue.ready(100)).sequence == 2
    assert queue.next_change(100) == 150
    assert next(queue.ready(150)).sequence == 1


def test_the_stale_are_taken_out_but_not_what_has_begun():
    queue = ReadyQueue(5)
    begun = item(3, ttl=1)
    begun.status = Status.STARTING
    begun.start_sounding(100.5)
    for each in (item(1, ttl=10), item(2, ttl=20, not_before=5), begun):
        queue.add(each)
    assert queue.pop_expired(109.9) == []
    assert queue.next_change(109.9) == 110
    assert [stale.sequence for stale in queue.pop_expired(110)] == [1]
    assert [stale.sequence for stale in queue.pop_expired(1000)] == [2]
    assert [left.sequence for left in queue.items] == [3]
    assert queue.next_change(1000) == math.inf


def test_a_parked_one_is_passed_over_until_it_is_unparked():
    queue = ReadyQueue(5)
    parked = item(1, CRITICAL)
    parked.status = Status.STARTING
    parked.status = Status.PARKED
    queue.add(parked)
    queue.add(item(2))
    assert next(queue.ready(100)).sequence == 2
    parked.status = Status.QUEUED
    assert next(queue.ready(100)) is parked


def test_pop_if_returns_the_wanted_items():
    queue = ReadyQueue(5)
    for number in range(4):
        queue.add(item(number))
    assert [each.sequence for each in queue.pop_if(lambda each: each.sequence % 2)] == [1, 3]
    assert taken(queue) == [0, 2]
