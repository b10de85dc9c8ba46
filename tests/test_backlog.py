"""What waits is taken in the order of the contract, goes stale in time, and never grows beyond its limit."""

import random

import pytest

from edgevoice import Urgency
from edgevoice.backlog import Backlog
from tests.support.announcements import turn

LOW, NORMAL, HIGH, CRITICAL = Urgency


def taken(backlog, now=100.0):
    numbers = []
    while (first := backlog.first(now)) is not None:
        backlog.remove(first)
        numbers.append(first.number)
    return numbers


async def test_the_most_urgent_is_first_then_the_oldest():
    backlog = Backlog(10)
    for number, urgency in enumerate([NORMAL, LOW, HIGH, NORMAL, CRITICAL, HIGH]):
        assert backlog.add(turn(number, urgency)) is None
    assert [waiting.number for waiting in backlog] == taken(backlog) == [4, 2, 5, 0, 3, 1]


async def test_the_interrupted_go_before_the_waiting_of_their_urgency_and_the_last_of_them_first():
    backlog = Backlog(10)
    turns = [turn(number, urgency) for number, urgency in enumerate([NORMAL, NORMAL, NORMAL, HIGH, LOW])]
    turns[1].precedence, turns[2].precedence, turns[4].precedence = 1, 2, 3
    for waiting in turns:
        backlog.add(waiting)
    assert taken(backlog) == [3, 2, 1, 0, 4]


@pytest.mark.parametrize("seed", range(20))
async def test_a_full_backlog_gives_up_the_least_urgent_and_of_those_the_oldest(seed):
    dice, backlog, kept = random.Random(seed), Backlog(5), []
    for number in range(40):
        new = turn(number, dice.choice(list(Urgency)))
        kept.append(new)
        given_up = backlog.add(new)
        if len(kept) > 5:
            expected = min(kept, key=lambda each: (each.announcement.urgency.rank, each.number))
            kept.remove(expected)
            assert given_up is expected
        else:
            assert given_up is None
        assert set(backlog) == set(kept)
    assert len(backlog) == 5


async def test_what_may_not_be_said_before_a_moment_waits_for_it():
    backlog = Backlog(5)
    backlog.add(turn(1, CRITICAL, not_before=50))
    backlog.add(turn(2))
    assert backlog.first(100).number == 2
    assert backlog.next_change() == 150
    assert backlog.first(150).number == 1


async def test_the_stale_are_taken_out_but_not_what_has_begun():
    backlog = Backlog(5)
    begun = turn(3, ttl=1)
    begun.sound(100.5)
    for each in (turn(1, ttl=10), turn(2, ttl=20, not_before=5), begun):
        backlog.add(each)
    assert backlog.expired(109.9) == []
    assert backlog.next_change() == 110
    assert [stale.number for stale in backlog.expired(110)] == [1]
    assert [stale.number for stale in backlog.expired(1000)] == [2]
    assert [left.number for left in backlog] == [3]
    assert backlog.next_change() is None


async def test_a_parked_one_is_passed_over_until_it_is_unparked():
    backlog = Backlog(5)
    parked = turn(1, CRITICAL)
    parked.parked = True
    backlog.add(parked)
    backlog.add(turn(2))
    assert backlog.first(100).number == 2
    parked.parked = False
    assert backlog.first(100) is parked


async def test_those_that_are_wanted_are_taken_out():
    backlog = Backlog(5)
    for number in range(4):
        backlog.add(turn(number))
    assert [each.number for each in backlog.take_if(lambda each: each.number % 2)] == [1, 3]
    assert taken(backlog) == [0, 2]
