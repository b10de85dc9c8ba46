"""The latency model: what it learns, forgets, tells, and restores; time is virtual."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import msgspec
import pytest

from edgevoice.errors import AccountRefused, ClipError, TransportError
from edgevoice.synthesis.latency import (
    AGE_S,
    MAX_AGE_S,
    RING,
    ExpectedLatency,
    LatencyModel,
)

NAMES = ("http", "http_stream", "websocket")
WARM = dict.fromkeys(NAMES, True)
MINUTE = 60.0


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Learned:
    """A model that is told of one request a minute, and what it saved."""

    def __init__(self, saved=None) -> None:
        self.clock = Clock()
        self.saved = {}
        self.model = LatencyModel(self.clock, saved=saved or {}, save=self.saved.__setitem__)

    def answers(self, name: str, *seconds: float, characters: int = 40, warm: bool = True) -> None:
        for took in seconds:
            self.clock.now += MINUTE
            self.model.answered(name, characters, took, warm=warm)

    def expected(self, name: str, *, characters: int = 40, warm: bool = True) -> float:
        return self.of(name, characters=characters, warm=warm).seconds

    def of(self, name: str, *, characters: int = 40, warm: bool = True) -> ExpectedLatency:
        return self.model.predict(characters, {name: warm})[name]


def test_model_learns_the_set_up_and_the_time_of_each_character():
    learned, chance = Learned(), random.Random(7)
    for _ in range(60):
        characters, warm = chance.randrange(10, 250), chance.random() < 0.5
        took = (0.15 + 0.12 * (not warm) + 0.006 * characters) * chance.uniform(0.95, 1.05)
        learned.answers("http", took, characters=characters, warm=warm)
    for characters, warm, true in ((20, True, 0.27), (20, False, 0.39), (240, True, 1.59)):
        assert learned.expected("http", characters=characters, warm=warm) == pytest.approx(true, rel=0.1)


def test_slow_path_is_noticed_within_three_requests_and_an_outlier_is_ignored():
    learned = Learned()
    learned.answers("websocket", *[0.11, 0.12, 0.13] * 10)
    learned.answers("websocket", 2.0)
    assert learned.expected("websocket") < 0.14
    learned.answers("websocket", 0.12, 0.5, 0.5, 0.5)
    assert learned.expected("websocket") == pytest.approx(0.5, rel=0.2)
    learned.answers("websocket", 0.12, 0.12, 0.12)
    assert learned.expected("websocket") == pytest.approx(0.12, rel=0.2)


def test_path_that_was_left_alone_is_believed_to_have_recovered_after_one_answer():
    learned = Learned()
    learned.answers("websocket", *[0.5] * 10)
    learned.clock.now += AGE_S
    learned.answers("websocket", 0.1)
    assert learned.expected("websocket") == pytest.approx(0.1)


def test_penalty_of_a_failure_is_forgotten():
    learned = Learned()
    learned.answers("http", *[0.1] * 10)
    learned.model.failed("http", 40, 6.0, warm=True)
    assert learned.expected("http") == pytest.approx(6.2, rel=0.05)
    learned.answers("http", 0.1)
    assert learned.expected("http") < 3.3
    learned.clock.now += 3 * 3600
    assert learned.expected("http") == pytest.approx(0.1, rel=0.1)


def test_transport_that_fails_at_once_is_not_the_fastest():
    learned = Learned()
    learned.answers("http", *[0.1] * 5)
    learned.answers("websocket", *[0.13] * 5)
    for _ in range(3):
        learned.model.failed("http", 40, 0.01, warm=True)
    assert learned.expected("http") > learned.expected("websocket")


def test_estimate_becomes_less_certain_with_age():
    learned, best = Learned(), []
    learned.answers("http", *[0.1] * 20)
    for _ in range(4):
        best.append(learned.of("http").at_best_s)
        learned.clock.now += AGE_S
    assert best == [pytest.approx(0.1 / 2**ages) for ages in range(4)]


def test_late_is_what_is_later_than_nineteen_of_twenty():
    learned, chance = Learned(), random.Random(3)
    assert learned.model.late_after("websocket", 40, warm=True) is None
    learned.answers("websocket", *[chance.uniform(0.1, 0.2) for _ in range(RING - 1)])
    assert learned.model.late_after("websocket", 40, warm=True) is None
    learned.answers("websocket", *[chance.uniform(0.1, 0.2) for _ in range(60)])
    late = learned.model.late_after("websocket", 40, warm=True)
    assert late is not None
    assert 0.17 < late < 0.25
    cold = learned.model.late_after("websocket", 40, warm=False)
    assert cold is not None
    assert cold > late


class Timed(Learned):
    """A model that times requests."""

    def request(self, error: BaseException | None = None, *, sounds: bool, length: int | None = 40) -> None:
        with contextlib.suppress(BaseException), self.model.timed("http", length, warm=True) as first_audio:
            self.clock.now += 0.2
            if sounds:
                first_audio()
                self.clock.now += 5
                first_audio()
            if error is not None:
                raise error

    @property
    def requests(self) -> int:
        return self.of("http").requests


def test_request_is_timed_to_its_first_audio():
    timed = Timed()
    for _ in range(10):
        timed.request(sounds=True)
    timed.request(TransportError("broke off"), sounds=True)
    assert timed.requests == 11
    assert timed.expected("http") == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("error", [TransportError("refused: 500"), None])
def test_request_that_ends_without_audio_has_failed(error):
    timed = Timed()
    timed.answers("http", 0.2)
    timed.request(error, sounds=False)
    assert timed.expected("http") > 0.4


@pytest.mark.parametrize(
    ("error", "length"),
    [(AccountRefused("401"), 40), (ClipError("the disk is full"), 40), (TransportError("500"), None)],
)
def test_error_that_says_nothing_of_the_transport_is_not_counted(error, length):
    timed = Timed()
    timed.request(error, sounds=False, length=length)
    assert timed.requests == 0


def test_cancelled_request_counts_only_if_it_was_late():
    timed = Timed()
    timed.answers("http", *[0.3] * 5)
    timed.request(asyncio.CancelledError(), sounds=False)
    assert timed.requests == 5
    late = Timed()
    late.answers("http", *[0.1] * 2)
    late.request(asyncio.CancelledError(), sounds=False)
    assert late.requests == 3


def test_prediction_does_not_change_until_something_is_learned():
    learned = Learned()
    for name in NAMES:
        learned.answers(name, 0.1, 0.1, 0.1)
    assert learned.model.predict(40, WARM) == learned.model.predict(40, WARM)
    before = learned.model.predict(40, WARM).draw
    learned.answers("http", 0.1)
    assert learned.model.predict(40, WARM).draw != before


def stored(learned: Learned, *, age_s: float = 0.0) -> dict[str, object]:
    """Return the history that a later run reads."""
    saved = {
        name: msgspec.structs.replace(value, at=value.at - age_s) for name, value in learned.saved.items()
    }
    return msgspec.json.decode(msgspec.json.encode(saved))


def test_samples_are_restored_with_their_age():
    learned = Learned()
    learned.answers("http", *[0.1] * 30)
    again = Learned(stored(learned, age_s=AGE_S))
    assert again.expected("http") == pytest.approx(0.1)
    assert again.of("http").requests == RING
    assert again.of("http").at_best_s == pytest.approx(0.05, rel=0.01)


def test_old_samples_are_dropped_and_a_clock_set_back_makes_none_younger():
    learned = Learned()
    learned.answers("http", *[0.1] * 5)
    assert Learned(stored(learned, age_s=MAX_AGE_S + 1)).of("http").requests == 0
    assert Learned(stored(learned, age_s=-3600)).of("http").at_best_s <= 0.1 + 1e-6


@pytest.mark.parametrize("value", [None, [], {"at": "x"}, {"at": 1.0, "warm": [[1, 2, 3]]}, {"estimate": {}}])
def test_values_of_another_version_are_ignored(value):
    if isinstance(value, dict) and "at" in value and value["at"] == 1.0:
        value = {**value, "at": time.time()}
    assert Learned({"http": value}).of("http").requests == 0


def test_estimate_stays_sound_whatever_is_measured():
    chance, learned = random.Random(5), Learned()
    for _ in range(1000):
        learned.clock.now += chance.choice((0.0, 1.0, 60.0, 1e6))
        took = chance.choice((0.0, 0.001, 0.1, 10.0, 60.0)) * chance.random()
        characters, warm = chance.randrange(0, 8000), chance.random() < 0.5
        if chance.random() < 0.1:
            learned.model.failed("http", characters, took, warm=warm)
        else:
            learned.model.answered("http", characters, took, warm=warm)
        told = learned.of("http", characters=characters, warm=warm)
        assert 0 < told.seconds < 1e6
        assert 0 <= told.at_best_s <= told.seconds
