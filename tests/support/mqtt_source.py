"""The source `mqtt`, run as the daemon runs it, with everything it hands over and reports kept."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.config.options import Lightning
from edgevoice.plugin import Context
from edgevoice_plugins.mqtt import MqttSource
from edgevoice_plugins.mqtt.options import Mqtt
from tests.support.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice.commands import Command

TARGETS = frozenset({"kitchen", "downstairs", "all"})


@dataclass(frozen=True, slots=True)
class Heard:
    """A running source: its commands, its faults (None is a fault that went), and what it waits for."""

    source: MqttSource
    commands: Arrivals[Command]
    faults: Arrivals[str | None]
    ready: asyncio.Event

    async def wait_for(self, payload: str, *, within: float = 30.0) -> Any:
        """The command with this payload."""
        return await self.commands.wait(
            lambda command: getattr(command, "payload", None) == payload.encode(), within=within
        )


def context_of(faults: Arrivals[str | None], ready: asyncio.Event, node: str = "pi") -> Context:
    def fault(part: str, sentence: str | None) -> None:
        assert part == "mqtt"
        faults.put(sentence)

    return Context(
        node=node,
        state_dir=Path("/nonexistent"),
        speakers=("kitchen",),
        targets=TARGETS,
        lightning=Lightning(),
        api_key=None,
        session=lambda: None,  # type: ignore[arg-type,return-value]
        fault=fault,
        stuck=list,
        ready=ready,
    )


@contextlib.asynccontextmanager
async def listening(port: int | None, *, ready: bool = True, **options: Any) -> AsyncIterator[Heard]:
    """Run the source against 127.0.0.1:`port`; None is no host at all."""
    commands: Arrivals[Command] = Arrivals("commands")
    faults: Arrivals[str | None] = Arrivals("faults")
    is_ready = asyncio.Event()
    if ready:
        is_ready.set()
    where = {} if port is None else {"host": "127.0.0.1", "port": port}
    source = MqttSource(context_of(faults, is_ready), msgspec.convert({**where, **options}, Mqtt))
    async with source:
        task = asyncio.create_task(source.listen(commands.put))
        try:
            yield Heard(source, commands, faults, is_ready)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
