"""The idle limit of a server, learned from the connections that it ended."""

import pytest

from edgevoice_plugins.lightning.idle_limit import IdleLimit


def learned(*ends, now=1000.0):
    limit = IdleLimit()
    for used, after in ends:
        limit.ended(after, used=used, now=now)
    return limit


def test_nothing_is_known_at_first_nor_after_one_end():
    assert learned().renewal(used=False, now=1000) is None
    assert learned((False, 60.0)).renewal(used=False, now=1000) is None


def test_two_ends_after_the_same_time_are_a_limit():
    limit = learned((False, 60.2), (False, 60.0))
    assert limit.renewal(used=False, now=1000) == pytest.approx(48)
    assert limit.renewal(used=True, now=1000) is None


def test_two_ends_of_both_kinds_are_a_limit_for_both():
    limit = learned((True, 5.0), (False, 5.1))
    assert limit.renewal(used=False, now=1000) == limit.renewal(used=True, now=1000) == pytest.approx(4)


@pytest.mark.parametrize("other", [4.0, 40.0, 75.0])
def test_ends_after_unlike_times_are_chance(other):
    assert learned((False, 60.0), (False, other)).renewal(used=False, now=1000) is None


def test_a_chance_end_does_not_hide_the_limit_for_long():
    limit = learned((False, 60.0), (False, 12.0), (False, 60.0), (False, 60.0))
    assert limit.renewal(used=False, now=1000) == pytest.approx(48)


def test_a_limit_is_forgotten_after_an_hour():
    limit = learned((False, 60.0), (False, 60.0))
    assert limit.renewal(used=False, now=1000 + 3599) is not None
    assert limit.renewal(used=False, now=1000 + 3601) is None
