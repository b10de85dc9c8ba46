"""Delays double up to a limit, are spread, and begin again after a success."""

from edgevoice.backoff import Backoff


def plain(**keys: float) -> Backoff:
    return Backoff(1.0, 10.0, rng=lambda low, high: (low + high) / 2, **keys)  # type: ignore[arg-type]


def test_backoff_doubles_up_to_maximum():
    backoff = plain()
    assert [backoff.next_delay_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert backoff.failures == 6


def test_backoff_reset_starts_again():
    backoff = plain()
    backoff.next_delay_s()
    backoff.next_delay_s()
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_delay_s() == 1


def test_backoff_jitter_stays_within_share():
    backoff = Backoff(4.0, 4.0, jitter=0.5)
    delays = [backoff.next_delay_s() for _ in range(200)]
    assert all(2 <= delay <= 6 for delay in delays)
    assert max(delays) - min(delays) > 1
