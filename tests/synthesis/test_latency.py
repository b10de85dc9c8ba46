"""The forecast of the time to first sound: what it learns, forgets, tells, and keeps over a restart; time is virtual."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from edgevoice.errors import AccountRefused, ClipError, TransportError
from edgevoice.forecast.estimate import KNOWN_LATE
from edgevoice.forecast.forecast import LatencyModel
from edgevoice.forecast.outlook import MOST_TRIES, ExpectedLatency, LatencyPrediction
from edgevoice.forecast.persistence import MAX_AGE_S, NAMESPACE, LatencyPersistence
from edgevoice.storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("http", "http_stream", "websocket")
WARM = dict.fromkeys(NAMES, True)
MINUTE = 60.0


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Learned:
    """A forecast that is told of one request a minute."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.forecast = LatencyModel(self.clock)

    def answers(self, name: str, *seconds: float, characters: int = 40, warm: bool = True) -> None:
        for took in seconds:
            self.clock.now += MINUTE
            self.forecast.answered(name, characters, took, warm=warm)

    def expected(self, name: str, *, characters: int = 40, warm: bool = True) -> float:
        return self.forecast.outlook(characters, {name: warm}).of[name].seconds


def test_it_learns_the_set_up_and_the_time_of_each_character():
    learned, chance = Learned(), random.Random(7)
    for _ in range(60):
        characters, warm = chance.randrange(10, 250), chance.random() < 0.5
        took = (0.15 + 0.12 * (not warm) + 0.006 * characters) * chance.uniform(0.9, 1.1)
        learned.answers("http", took, characters=characters, warm=warm)
    for characters, warm, true in ((20, True, 0.27), (20, False, 0.39), (240, True, 1.59)):
        assert learned.expected("http", characters=characters, warm=warm) == pytest.approx(true, rel=0.1)


def test_one_that_gets_slow_is_noticed_within_three_requests_and_one_outlier_is_not_believed():
    learned = Learned()
    learned.answers("websocket", *[0.11, 0.12, 0.13] * 10)
    learned.answers("websocket", 2.0)
    assert learned.expected("websocket") < 0.14
    learned.answers("websocket", 0.12, 0.5, 0.5, 0.5)
    assert learned.expected("websocket") == pytest.approx(0.5, rel=0.2)
    learned.answers("websocket", 0.12, 0.12, 0.12)
    assert learned.expected("websocket") == pytest.approx(0.12, rel=0.2)


def test_what_failures_cost_is_held_against_it_and_forgotten():
    learned = Learned()
    learned.answers("http", *[0.1] * 10)
    learned.forecast.failed("http", 40, 6.0, warm=True)
    assert learned.expected("http") == pytest.approx(6.2, rel=0.05)
    learned.answers("http", 0.1)
    assert learned.expected("http") < 3.3
    learned.clock.now += 3 * 3600
    assert learned.expected("http") == pytest.approx(0.1, rel=0.1)


def test_one_that_fails_at_once_is_not_the_quickest():
    learned = Learned()
    learned.answers("http", *[0.1] * 5)
    learned.answers("websocket", *[0.13] * 5)
    for _ in range(3):
        learned.forecast.failed("http", 40, 0.01, warm=True)
    outlook = learned.forecast.outlook(40, {"http": True, "websocket": True})
    assert outlook.order(("http", "websocket"), may_try=False, rule="")[0] == ("websocket", "http")


def test_what_was_not_measured_for_long_is_less_certain():
    learned = Learned()
    learned.answers("http", *[0.1] * 20)
    doubts = []
    for _ in range(4):
        learned.clock.now += 3600
        doubts.append(learned.forecast.outlook(40, {"http": True}).of["http"].uncertainty)
    assert doubts == sorted(doubts)
    assert doubts[0] > 0.02


def test_late_is_what_is_later_than_nineteen_of_twenty():
    learned, chance = Learned(), random.Random(3)
    assert learned.forecast.late_after("websocket", 40, True) is None
    learned.answers("websocket", *[chance.uniform(0.1, 0.2) for _ in range(KNOWN_LATE - 1)])
    assert learned.forecast.late_after("websocket", 40, True) is None
    learned.answers("websocket", *[chance.uniform(0.1, 0.2) for _ in range(60)])
    late = learned.forecast.late_after("websocket", 40, True)
    assert late is not None
    assert 0.17 < late < 0.25
    cold = learned.forecast.late_after("websocket", 40, False)
    assert cold is not None
    assert cold > late


class Timed(Learned):
    """A forecast that watches one request."""

    def request(self, error: BaseException | None = None, *, sounds: bool, length: int | None = 40) -> None:
        with contextlib.suppress(BaseException), self.forecast.timing("http", length, warm=True) as timing:
            self.clock.now += 0.2
            if sounds:
                timing.sounds()
                self.clock.now += 5
                timing.sounds()
            if error is not None:
                raise error

    @property
    def requests(self) -> int:
        estimate = self.forecast.estimates.get("http")
        return estimate.requests if estimate is not None else 0


def test_a_request_is_timed_to_its_first_audio():
    timed = Timed()
    for _ in range(10):
        timed.request(sounds=True)
    timed.request(TransportError("broke off"), sounds=True)
    assert timed.requests == 11
    assert timed.expected("http") == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("error", [TransportError("refused: 500"), None])
def test_one_that_ends_without_audio_has_failed(error):
    timed = Timed()
    timed.request(error, sounds=False)
    assert timed.forecast.estimates["http"].held_against > 0.2


@pytest.mark.parametrize(
    ("error", "length"),
    [(AccountRefused("401"), 40), (ClipError("the disk is full"), 40), (TransportError("500"), None)],
)
def test_what_says_nothing_of_the_transport_is_not_counted(error, length):
    timed = Timed()
    timed.request(error, sounds=False, length=length)
    assert timed.requests == 0


def test_one_that_is_cancelled_counts_only_if_it_was_late():
    timed = Timed()
    timed.answers("http", *[0.3] * 5)
    timed.request(asyncio.CancelledError(), sounds=False)
    assert timed.requests == 5
    late = Timed()
    late.answers("http", *[0.1] * 5)
    late.request(asyncio.CancelledError(), sounds=False)
    assert late.requests == 6
    assert late.expected("http") > 0.1


def expected(
    seconds: float, uncertainty: float = 0.001, *, requests: int = 9, warm: bool = True
) -> ExpectedLatency:
    return ExpectedLatency(seconds, uncertainty, requests, known=requests >= 2, warm=warm)


def test_it_orders_by_what_is_expected_and_says_so_in_numbers():
    of = {"http": expected(0.2101), "http_stream": expected(0.131), "websocket": expected(0.112)}
    order, why = LatencyPrediction(43, of).order(NAMES, may_try=True, rule="up to 140 characters")
    assert order == ("websocket", "http_stream", "http")
    assert why == "websocket 112 ms, http_stream 131 ms, http 210 ms (warm, 43 characters)"
    cold = of | {"http": expected(0.3, warm=False)}
    assert LatencyPrediction(9, cold).order(NAMES, may_try=True, rule="")[1] == (
        "websocket 112 ms, http_stream 131 ms, http 300 ms cold (9 characters)"
    )


def test_as_long_as_it_knows_too_little_it_goes_by_the_rules_and_tries_what_it_does_not_know():
    of = {
        "http": expected(0.3, 0.5, requests=1),
        "http_stream": ExpectedLatency(0.4, 0.7),
        "websocket": expected(0.1),
    }
    order, why = LatencyPrediction(43, of).order(NAMES, may_try=False, rule="up to 140 characters")
    assert order == NAMES
    assert why == (
        "knows too little yet (requests: http 1, http_stream 0, websocket 9), by the rules: up to 140 characters"
    )
    order, why = LatencyPrediction(43, of).order(NAMES, may_try=True, rule="up to 140 characters")
    assert order == ("http_stream", "http", "websocket")
    assert "http_stream is tried, else by the rules: up to 140 characters" in why
    assert LatencyPrediction().order(NAMES, may_try=True, rule="x")[0] == NAMES


def test_what_has_no_hope_need_not_be_known_better():
    of = {"http": expected(1.0, 0.1, requests=1), "http_stream": expected(0.12), "websocket": expected(0.1)}
    assert LatencyPrediction(43, of).order(NAMES, may_try=True, rule="")[0] == (
        "websocket",
        "http_stream",
        "http",
    )


def test_tries_are_few_and_only_of_what_may_be_quicker():
    of = {"http": expected(1.0, 0.05), "http_stream": expected(0.11, 0.02), "websocket": expected(0.1, 0.01)}
    draws = [step / 1000 for step in range(1000)]
    first = [LatencyPrediction(43, of, draw).order(NAMES, may_try=True, rule="")[0][0] for draw in draws]
    assert first.count("http") == 0
    assert 0 < first.count("http_stream") <= MOST_TRIES * 1000
    why = LatencyPrediction(43, of, 0.0).order(NAMES, may_try=True, rule="")[1]
    assert why.startswith("http_stream is tried, which may be quicker by now; websocket 100 ms")
    assert {LatencyPrediction(43, of, draw).order(NAMES, may_try=False, rule="")[0][0] for draw in draws} == {
        "websocket"
    }


def test_the_same_is_said_and_done_until_something_new_is_learned():
    learned = Learned()
    for name in NAMES:
        learned.answers(name, 0.1, 0.1, 0.1)
    assert learned.forecast.outlook(40, WARM) == learned.forecast.outlook(40, WARM)
    before = learned.forecast.outlook(40, WARM).draw
    learned.answers("http", 0.1)
    assert learned.forecast.outlook(40, WARM).draw != before


def store_in(folder: Path) -> Store:
    return Store(folder, fault=lambda _part, _sentence: None)


async def restored(folder: Path, learned: Learned, wall: float) -> None:
    async with store_in(folder) as store, LatencyPersistence(store, learned.forecast, lambda: wall):
        pass


async def test_what_is_known_is_known_again_and_older(tmp_path):
    learned = Learned()
    async with store_in(tmp_path) as store, LatencyPersistence(store, learned.forecast, lambda: 1e9):
        learned.answers("http", *[0.1] * 30)
        written = learned.forecast.outlook(40, {"http": True}).of["http"]
    again = Learned()
    again.clock.now = 5.0
    await restored(tmp_path, again, 1e9 + 3600)
    read = again.forecast.outlook(40, {"http": True}).of["http"]
    assert (read.seconds, read.requests) == (pytest.approx(written.seconds), 30)
    learned.clock.now += 3600
    assert read.uncertainty == pytest.approx(
        learned.forecast.outlook(40, {"http": True}).of["http"].uncertainty
    )


async def test_nothing_new_is_not_written(tmp_path):
    learned = Learned()
    async with (
        store_in(tmp_path) as store,
        LatencyPersistence(store, learned.forecast, lambda: 1e9) as persistence,
    ):
        learned.answers("http", 0.1)
        persistence.save()
        saved = store.values(NAMESPACE)
        assert list(saved) == ["http"]
    async with store_in(tmp_path) as store, LatencyPersistence(store, Learned().forecast, lambda: 2e9):
        assert store.values(NAMESPACE) == saved


async def test_a_clock_that_was_set_back_makes_nothing_younger_than_now(tmp_path):
    learned = Learned()
    async with store_in(tmp_path) as store, LatencyPersistence(store, learned.forecast, lambda: 1e9):
        learned.answers("http", 0.1)
    again = Learned()
    await restored(tmp_path, again, 1e8)
    assert again.forecast.estimates["http"].at <= again.clock.now
    stale = Learned()
    await restored(tmp_path, stale, 1e9 + MAX_AGE_S)
    assert stale.forecast.estimates == {}


async def test_values_of_another_version_are_ignored(tmp_path):
    learned = Learned()
    async with (
        store_in(tmp_path) as store,
        LatencyPersistence(store, learned.forecast, lambda: 1e9) as persistence,
    ):
        learned.answers("http", 0.1, 0.2)
        persistence.save()
        good = store.values(NAMESPACE)["http"]
        estimate = good["estimate"]
        for value in (
            None,
            [1, 2],
            {"estimate": estimate},
            good | {"estimate": estimate | {"mean": [1, 2]}},
            good | {"estimate": estimate | {"requests": -1}},
            good | {"estimate": estimate | {"ratios": [0.1] * 100}},
        ):
            store.set_value(NAMESPACE, "http", value)
            again = Learned()
            async with LatencyPersistence(store, again.forecast, lambda: 1e9):
                assert again.forecast.estimates == {}, value


def test_an_estimate_stays_sound_whatever_is_measured():
    chance, learned = random.Random(5), Learned()
    for _ in range(2000):
        learned.clock.now += chance.choice((0.0, 1.0, 60.0, 1e6, -30.0))
        took = chance.choice((0.0, 0.001, 0.1, 10.0, 60.0)) * chance.random()
        characters, warm = chance.randrange(0, 8000), chance.random() < 0.5
        if chance.random() < 0.1:
            learned.forecast.failed("http", characters, took, warm=warm)
        else:
            learned.forecast.answered("http", characters, took, warm=warm)
        told = learned.forecast.outlook(characters, {"http": warm}).of["http"]
        assert 0 < told.seconds < 1e6
        assert 0 <= told.uncertainty < 1e6
    estimate = learned.forecast.estimates["http"]
    assert msgspec.json.decode(msgspec.json.encode(estimate), type=type(estimate)) == estimate
