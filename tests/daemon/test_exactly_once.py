"""Announcements, live texts, stops and faults in any order: each accepted one ends exactly once on each speaker."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.house import OUTCOMES, House
from tests.support.lightning import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

ADDRESSED = {
    "kitchen": {"kitchen"},
    "study": {"study"},
    "down": {"kitchen", "study"},
    "all": {"kitchen", "study", "bath"},
}
SPEAKERS = {"kitchen": {"groups": ["down"]}, "study": {"groups": ["down"], "pace": True}, "bath": {}}
URGENCIES = ("low", "normal", "high", "critical")
FAULTS = (Fault(at=-1, status=429), Fault(at=-1, status=401), Fault(at=1, cut=True), Fault(at=2, stall=0.3))


class Crowd:
    """Publishes whatever the dice say, and remembers which outcomes that has to give."""

    def __init__(self, house: House, lightning: LightningServer, seed: int) -> None:
        self.due: set[tuple[str, str]] = set()
        self._house = house
        self._lightning = lightning
        self._dice = random.Random(seed)
        self._open: dict[str, str] = {}
        self._numbers = iter(range(1_000_000))

    async def act(self) -> None:
        actions: tuple[Callable[[str], Awaitable[None]], ...] = (
            self._say,
            self._piece,
            self._stop,
            self._spoil,
        )
        (action,) = self._dice.choices(actions, (6, 4, 2, 1))
        await action(self._dice.choice(sorted(ADDRESSED)))

    async def end(self) -> None:
        """End what is live."""
        for name, target in self._open.items():
            await self._publish(f"{target}/stream/{name}")

    def _new(self, target: str) -> str:
        name = f"a{next(self._numbers)}"
        self.due |= {(name, speaker) for speaker in ADDRESSED[target]}
        return name

    async def _say(self, target: str) -> None:
        keys = {"urgency": self._dice.choice(URGENCIES), "tag": self._dice.choice("tu")}
        keys |= self._dice.choice([{}, {"ttl": 1}, {"not_before": 0.2}, {"transport": "http"}])
        text = f"d{self._dice.choice([20, 100, 300])}z Said{'!' * self._dice.choice([1, 300])}"
        await self._house.say(text, to=target, id=self._new(target), **keys)

    async def _piece(self, target: str) -> None:
        if len(self._open) < 5:
            name = self._new(target)
            self._open[name] = target
            first = {"text": self._dice.choice(["d100z One. ", ""]), "urgency": self._dice.choice(URGENCIES)}
            await self._publish(f"{target}/stream/{name}", json.dumps(first))
        name = self._dice.choice(list(self._open))
        piece = self._dice.choice(["d50z More. ", ""])
        await self._publish(f"{self._open[name]}/stream/{name}", piece)
        if not piece:
            del self._open[name]

    async def _stop(self, target: str) -> None:
        await self._publish(f"{target}/stop", self._dice.choice(["", "", "all", "t", "a3"]))

    async def _spoil(self, _target: str) -> None:
        self._lightning.plan(self._dice.choice(FAULTS))
        await asyncio.sleep(self._dice.uniform(0, 0.4))

    async def _publish(self, topic: str, payload: str = "") -> None:
        await self._house.client.publish(f"edgevoice/{topic}", payload)


@pytest.mark.parametrize(("seed", "queue", "pace"), [(1, 500, 3.0), (2, 4, 1.5)])
async def test_random_commands_give_one_outcome_each(
    seed: int, queue: int, pace: float, broker: Broker, lightning: LightningServer
) -> None:
    lightning.pace = pace
    async with House(
        broker, speakers=SPEAKERS, lightning={"base_url": lightning.url}, limits={"queue": queue}
    ) as house:
        before = len(asyncio.all_tasks())
        crowd = Crowd(house, lightning, seed)
        for _ in range(150):
            await crowd.act()
        await crowd.end()
        await house.client.publish("edgevoice/all/stop", "all")
        await house.said("d20z The last one.", to="all", id="last")
        await house.leave()
        crowd.due |= {("last", speaker) for speaker in SPEAKERS}
        told = [message.json for message in house.events.messages if message.json["event_type"] in OUTCOMES]
        assert Counter((event["id"], event["speaker"]) for event in told) == Counter(crowd.due)
        assert lightning.most_in_flight == 1
        assert len(asyncio.all_tasks()) < before
