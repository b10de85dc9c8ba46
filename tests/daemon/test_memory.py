"""However long an announcement is, the daemon keeps no more of it in memory than of a short one."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.child import ChildHouse
from tests.support.lightning import LightningServer

TIMES_REAL_TIME = 50
RATE = 24000
MINUTE = "d60000z. "
MOST_MORE = 4 * 1024 * 1024
#: Bytes of a clip that are in no file.
KEPT_IN_MEMORY = 256 * 1024


def memory(pid: int) -> int:
    """Bytes that a process has for itself, with its part of what it shares (PSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def spooled(house: ChildHouse) -> list[int]:
    """The sizes of the files in the state folder that the daemon has open, but that have no name any more."""
    links = {}
    for descriptor in Path(f"/proc/{house.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links[descriptor] = str(descriptor.readlink())
    ours = [fd for fd, link in links.items() if link.startswith(f"{house.folder}/clip-")]
    assert all(links[fd].endswith(" (deleted)") for fd in ours)
    return [fd.stat().st_size for fd in ours]


async def publish(house: ChildHouse, transport: str, minutes: int, name: str) -> None:
    if transport == "websocket":
        for _ in range(minutes):
            await house.client.publish(f"edgevoice/kitchen/stream/{name}", MINUTE)
        await house.client.publish(f"edgevoice/kitchen/stream/{name}", "")
    else:
        await house.say(MINUTE * minutes, id=name, transport=transport)


async def most_memory(house: ChildHouse, transport: str, minutes: int) -> int:
    """Return the daemon's peak memory while this many minutes of audio come in, of which seconds are heard."""
    name, whole = f"minutes-{minutes}", minutes * 60 * RATE * 2
    await publish(house, transport, minutes, name)
    most = 0
    while sum(spooled(house)) < whole - 2 * KEPT_IN_MEMORY:
        most = max(most, memory(house.process.pid))
        await asyncio.sleep(0.1)
    most = max(most, memory(house.process.pid))
    await house.client.publish("edgevoice/kitchen/stop", name)
    outcome = await house.outcome(name)
    assert (outcome["event_type"], outcome["transport"]) == ("cancelled", transport)
    async with asyncio.timeout(10):
        while spooled(house):
            await asyncio.sleep(0.02)
    return most


async def growth(transport: str) -> int:
    """Bytes that an hour takes more than a minute."""
    with Broker() as broker:
        async with LightningServer() as server:
            server.pace = TIMES_REAL_TIME
            async with ChildHouse(broker, pace=True, lightning={"base_url": server.url}) as house:
                minute = await most_memory(house, transport, 1)
                hour = await most_memory(house, transport, 60)
                return hour - minute


@pytest.mark.timeout(150)
async def test_hour_of_speech_needs_no_more_memory_than_a_minute() -> None:
    async with asyncio.TaskGroup() as group:
        grown = {name: group.create_task(growth(name)) for name in ("http_stream", "websocket")}
    for name, task in grown.items():
        assert task.result() < MOST_MORE, name
