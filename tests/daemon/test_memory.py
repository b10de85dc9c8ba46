"""However long an announcement is, the daemon keeps no more of it in memory than of a short one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.child import ChildHouse
from tests.support.lightning import LightningServer

TIMES_REAL_TIME = 50
RATE = 24000
MINUTE = "d60000z. "
MOST_MORE = 4 * 1024 * 1024
LARGEST_TAIL = 256 * 1024


def memory(pid: int) -> int:
    """Bytes that a process has for itself, with its part of what it shares (PSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))


def spooled(house: ChildHouse) -> list[int]:
    """The sizes of the files in the state folder that the daemon has open, but nobody else can find."""
    descriptors = Path(f"/proc/{house.process.pid}/fd").iterdir()
    links = {fd: str(fd.readlink()) for fd in descriptors if fd.is_symlink()}
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


async def most_memory(house: ChildHouse, server: LightningServer, transport: str, minutes: int) -> int:
    """The most that the daemon takes while so many minutes come in, while the first seconds are heard."""
    name, whole = f"minutes-{minutes}", minutes * 60 * RATE * 2
    server.requests.clear()
    await publish(house, transport, minutes, name)
    await house.step(name, "started")
    most = 0
    while sum(asked.made for asked in server.requests) < whole:
        most = max(most, memory(house.process.pid))
        await asyncio.sleep(0.1)
    assert {asked.transport for asked in server.requests} == {transport}
    most = max(most, memory(house.process.pid))
    (size,) = spooled(house)
    assert whole - size < 4 * LARGEST_TAIL
    await house.client.publish("edgevoice/kitchen/stop", name)
    assert (await house.outcome(name))["event_type"] == "cancelled"
    assert spooled(house) == []
    return most


async def growth(transport: str) -> int:
    """Bytes that an hour takes more than a minute."""
    with Broker() as broker:
        async with LightningServer() as server:
            server.pace = TIMES_REAL_TIME
            async with ChildHouse(broker, pace=True, lightning={"base_url": server.url}) as house:
                minute = await most_memory(house, server, transport, 1)
                hour = await most_memory(house, server, transport, 60)
                print(transport, minute / 1e6, hour / 1e6)
                return hour - minute


@pytest.mark.timeout(150)
async def test_an_hour_at_fifty_times_real_time_takes_no_more_memory_than_a_minute() -> None:
    async with asyncio.TaskGroup() as group:
        grown = {name: group.create_task(growth(name)) for name in ("http_stream", "websocket")}
    for name, task in grown.items():
        assert task.result() < MOST_MORE, name
