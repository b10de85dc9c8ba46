"""Whatever comes while a cut is on its way to the output, each accepted announcement ends in exactly one outcome."""

from collections import Counter
from random import Random

import pytest

from edgevoice.announcement import RepeatPolicy
from edgevoice.scheduler import actions as act
from tests.support.scheduler import Kitchen

URGENCIES = ["low", "normal", "high", "critical"]


class Dice:
    """Does one thing after the other to a speaker; a cut takes effect when it happens to."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.kitchen = Kitchen(queue=6, digest=self.random.choice(["on_request", "at_end", "off"]))

    def step(self):
        self.random.choice(
            [self.arrive, self.arrive, self.arrive, self.order, self.speak, self.speak, self.wait]
        )()

    def arrive(self):
        choose = self.random.choice
        insists = choose(
            [None, None, RepeatPolicy(times=2, every_s=5), RepeatPolicy(until_ack=True, every_s=5)]
        )
        tag, resolves = choose([None, "a", "b"]), choose([False, False, True])
        name = f"n{self.random.randrange(12)}"
        self.kitchen.say(
            name,
            choose(URGENCIES),
            tag=tag,
            resolves=resolves,
            repeat=insists,
            ttl=choose([5, 60]),
            topic=name,
        )

    def order(self):
        kitchen, choose = self.kitchen, self.random.choice
        what = choose(["", "", "all", "a", "n1", "n2"])
        choose(
            [
                lambda: kitchen.stop(what),
                lambda: kitchen.ack("" if what == "all" else what),
                lambda: kitchen.switch(**{choose(["mute", "dnd"]): choose([True, False, False])}),
                kitchen.digest,
            ]
        )()

    def speak(self):
        kitchen = self.kitchen
        if kitchen.saying is None:
            kitchen.take(heard=self.random.choice([None, 0.0]))
        else:
            does = [self.hear, self.hear, self.hear, kitchen.cut, kitchen.cut, self.pause, self.fall_silent]
            self.random.choice([*does, self.fail, kitchen.finish])()
        for one in list(kitchen.watched):
            if self.random.random() < 0.5:
                kitchen.watched.remove(one)
                kitchen.text_arrives(one)

    def hear(self):
        kitchen = self.kitchen
        kitchen.report(act.Started)
        kitchen.hear(self.random.choice([0.5, 6.0]))

    def pause(self):
        self.kitchen.pause()

    def fall_silent(self):
        self.kitchen.report(act.Starved)
        if self.kitchen.parking:
            self.kitchen.finish()

    def fail(self):
        self.kitchen.fail()

    def wait(self):
        self.kitchen.wait(self.random.choice([0.1, 3, 5, 60]))

    def check(self, lost=()):
        kitchen = self.kitchen
        queued = Counter(name for name, step, _ in kitchen.told if step == "queued")
        ended = Counter(name for name, step, _ in kitchen.told if step.is_outcome)
        kept = Counter([*kitchen.queue, *kitchen.held, *([kitchen.saying] if kitchen.saying else [])])
        assert queued == ended + kept + Counter(lost)


@pytest.mark.parametrize("seed", range(150))
def test_exactly_one_outcome(seed):
    dice = Dice(seed)
    for _ in range(300):
        dice.step()
        dice.check()
    kept = [*dice.kitchen.queue, *dice.kitchen.held]
    dice.kitchen.close()
    dice.check(lost=[one.announcement.id for one in dice.kitchen.kept])
    assert (dice.kitchen.queue, dice.kitchen.held, dice.kitchen.saying) == ([], [], None)
    assert {one.announcement.id for one in dice.kitchen.kept} >= {name for name in kept if name[0] == "n"}


@pytest.mark.parametrize("seed", range(20))
def test_every_item_is_released_once(seed):
    dice = Dice(seed)
    for _ in range(300):
        dice.step()
    dice.kitchen.close()
    assert set(dice.kitchen.released) == set(dice.kitchen.items)
