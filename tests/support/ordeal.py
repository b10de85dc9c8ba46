"""Announcements that arrive while the daemon is killed and the broker restarted; and what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.broker import MqttClient
from tests.support.child import ChildHouse
from tests.support.house import OUTCOMES

if TYPE_CHECKING:
    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

URGENCIES = ("normal", "high", "critical")
TONE_MS = 200
#: Bytes of a tone's end, and of its beginning after the 5 ms of a ramp, by which it is found: 20 ms.
EDGE = 960
RAMP = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordeal:
    """A number of announcements at a fixed interval; kills and restarts spread at random over them."""

    announcements: int
    every: float
    kills: int
    restarts: int
    seed: int

    @property
    def seconds(self) -> float:
        return self.announcements * self.every


@dataclass(slots=True, kw_only=True)
class Fate:
    """The result of an announcement: its events, and how often its tone was heard begin and end."""

    id: str
    urgency: str
    acknowledged: bool = False
    events: list[dict[str, Any]] = field(default_factory=list)
    begun: int = 0
    heard: int = 0

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event_type"] in OUTCOMES]

    @property
    def finished(self) -> list[dict[str, Any]]:
        return [event for event in self.outcomes if event["event_type"] == "finished"]

    def __str__(self) -> str:
        steps = ", ".join(
            f"{e['event_type']}{' again' if e['repeated'] else ''} ({e['reason']}) {e['at'][14:23]}"
            for e in self.events
        )
        told = "" if self.acknowledged else " (no PUBACK)"
        return f"{self.id}{told}: begun {self.begun}, heard {self.heard}: {steps}"


class OrdealHouse(ChildHouse):
    """A daemon that is killed and started again; what it tells is missed by no restart of the broker."""

    async def connect(self) -> None:
        self.client = await MqttClient(self.broker, session=3600).__aenter__()
        self.events = await self.client.collect("edgevoice/+/event")
        self.available = await self.client.collect("edgevoice/testnode/availability")

    async def kill(self) -> None:
        """SIGKILL, and start it again."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.task
        before = self.process
        self.begin()
        while self.process is before:
            await asyncio.sleep(0.01)


async def undergo(ordeal: Ordeal, broker: Broker, lightning: LightningServer) -> list[Fate]:
    """Let it happen, wait until what was promised has ended, and tell what became of each."""
    where = {"base_url": lightning.url}
    patience = {"first_audio_timeout": 20, "critical_deadline": 20}
    async with OrdealHouse(broker, pace=True, lightning=where, **patience) as house:
        fates = [
            Fate(id=f"{URGENCIES[n % 3]}-{n}", urgency=URGENCIES[n % 3]) for n in range(ordeal.announcements)
        ]
        chance = random.Random(ordeal.seed)
        async with asyncio.TaskGroup() as group:
            group.create_task(_publish(house, fates, ordeal.every))
            group.create_task(_spread(ordeal, ordeal.kills, chance, house.kill))
            group.create_task(
                _spread(ordeal, ordeal.restarts, chance, lambda: asyncio.to_thread(broker.restart))
            )
        await _settle(house, fates)
        await house.leave()
        sound = house.heard()
        for fate in fates:
            tone = lightning.expected(_text(fate))
            # With QoS 1 the broker may deliver one and the same event twice.
            told = dict.fromkeys(message.payload for message in house.events.messages)
            fate.events = [event for event in map(json.loads, told) if event.get("id") == fate.id]
            fate.begun, fate.heard = sound.count(tone[RAMP : RAMP + EDGE]), sound.count(tone[-EDGE:])
        return fates


async def _publish(house: OrdealHouse, fates: list[Fate], every: float) -> None:
    async with asyncio.TaskGroup() as group:
        for fate in fates:
            group.create_task(_say(house, fate))
            await asyncio.sleep(every)


async def _say(house: OrdealHouse, fate: Fate) -> None:
    keys = {"text": _text(fate), "id": fate.id, "urgency": fate.urgency}
    await house.client.publish("edgevoice/kitchen/say", json.dumps(keys))
    fate.acknowledged = True


async def _spread(ordeal: Ordeal, times: int, chance: random.Random, what: Any) -> None:
    """Do it `n` times, at random moments: one in each of as many equal parts of the time."""
    loop = asyncio.get_running_loop()
    began, part = loop.time(), ordeal.seconds / times
    for number in range(times):
        moment = began + part * (number + chance.random())
        await asyncio.sleep(max(0.0, moment - loop.time()))
        await what()


async def _settle(house: OrdealHouse, fates: list[Fate]) -> None:
    """Until each that was promised an end has one, and a last one that comes after all others was heard."""
    wanted = {fate.id for fate in fates if fate.urgency != "normal"}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while wanted - _ended(house):
                await asyncio.sleep(0.2)
    await house.said(f"d{TONE_MS}z The last one.", id="last", urgency="low")


def _ended(house: OrdealHouse) -> set[str]:
    told = (message.json for message in house.events.messages)
    return {event["id"] for event in told if event["event_type"] in OUTCOMES}


def _text(fate: Fate) -> str:
    return f"d{TONE_MS}z This is {fate.id}."


def summary(fates: list[Fate]) -> str:
    """How many of each urgency ended how."""
    counts = Counter(
        (
            fate.urgency,
            ", ".join(e["event_type"] + (" again" if e["repeated"] else "") for e in fate.outcomes),
        )
        for fate in fates
    )
    return "\n".join(
        f"{urgency}: {ends or 'no outcome'}: {count}" for (urgency, ends), count in sorted(counts.items())
    )
