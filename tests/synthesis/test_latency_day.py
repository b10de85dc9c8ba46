"""A simulated day of 1,000 announcements, by `use: auto`, against one who knows all times, and each transport alone."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest

from tests.support.day import HOUR, SCENES, TRANSPORTS, Auto, always, by_rules, knowing, lived, messages

SEEDS = range(20)


@dataclass(frozen=True, slots=True)
class Days:
    """Seconds to first sound over 20 days, in all; `single` those of each transport alone."""

    auto: float
    knowing: float
    rules: float
    single: dict[str, float]
    tried: float

    @property
    def regret(self) -> float:
        return self.auto / self.knowing - 1


@functools.cache
def days(name: str) -> Days:
    scene, auto, best, rules, tried = SCENES[name], 0.0, 0.0, 0.0, 0
    single = dict.fromkeys(TRANSPORTS, 0.0)
    for seed in SEEDS:
        day, choice = messages(scene, seed), Auto(seed)
        auto += lived(scene, day, choice).expected
        best += lived(scene, day, knowing).expected
        rules += lived(scene, day, by_rules).expected
        tried += choice.tried
        for transport in TRANSPORTS:
            single[transport] += lived(scene, day, always(transport)).expected
    return Days(auto, best, rules, single, tried / (1000 * len(SEEDS)))


@pytest.mark.parametrize("name", SCENES)
def test_the_regret_of_a_day_is_at_most_five_per_cent(name):
    assert days(name).regret <= 0.05


@pytest.mark.parametrize("name", SCENES)
def test_model_beats_the_rules_and_each_single_transport(name):
    told = days(name)
    assert told.auto < told.rules
    for transport, seconds in told.single.items():
        # Over LTE the WebSocket is the best for nine of ten: there it can only be equalled.
        assert told.auto < seconds * (1.01 if (name, transport) == ("lte", "websocket") else 1.0), transport


@pytest.mark.parametrize("name", SCENES)
def test_little_is_tried(name):
    assert 0 < days(name).tried < 0.08


def test_urgent_announcements_never_probe():
    scene, auto = SCENES["noon"], Auto(3)
    day = messages(scene, 3)
    lived(scene, day, auto)
    urgent = [why for message, why in zip(day, auto.why, strict=True) if message.said.urgency.rank >= 2]
    assert len(urgent) > 20
    assert not any("is tried" in why for why in urgent)


def test_a_day_goes_the_same_way_each_time():
    scene = SCENES["noon"]
    first, second = Auto(1), Auto(1)
    lived(scene, messages(scene, 1), first)
    lived(scene, messages(scene, 1), second)
    assert first.why == second.why


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_slows_at_noon_is_left_at_once(seed):
    scene, auto = SCENES["noon"], Auto(seed)
    taken = [(message.at, auto(scene, message)) for message in messages(scene, seed)]
    slow = [name for at, name in taken if 12 * HOUR <= at < 15 * HOUR]
    assert slow.count("websocket") > 0.9 * len(slow)
