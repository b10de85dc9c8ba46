"""Records through a microphone, or the monitor of the sound server, while something is played."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

from edgevoice import OutputError
from edgevoice_plugins.sound_card import sinks
from edgevoice_plugins.sound_card.process import CHILD, child_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MONITOR = "monitor"
RATE = 24_000
BEGIN_WITHIN_S = 10.0
CONNECT = (
    "connect a microphone, choose one with `--listen`, or listen to the sound server with `--listen monitor`"
)


async def source(listen: str, device: str) -> tuple[str, dict[str, str]]:
    """The input device to open, and what its environment needs besides.

    Raises:
        OutputError: there is no monitor.
    """
    if listen != MONITOR:
        return listen, {}
    _, *sink = await sinks.names(device)
    if not sink:
        raise OutputError(
            f"there is no monitor of {device!r}: only what PulseAudio or PipeWire plays has one, "
            "and `device` is to be `default`; connect a microphone instead"
        )
    return "default", {"PULSE_SOURCE": f"{sink[0]}.monitor"}


@asynccontextmanager
async def recording(device: str, besides: dict[str, str]) -> AsyncIterator[bytearray]:
    """What is heard meanwhile, s16le mono at `RATE`, growing.

    Raises:
        OutputError: nothing can be heard.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", CHILD, "--listen", device, str(RATE)),
        env=child_environment() | besides,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    heard = bytearray()
    begun = asyncio.Event()
    reading = asyncio.create_task(_read(process, heard, begun))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGIN_WITHIN_S):
                await begun.wait()
        if not heard:
            raise OutputError(await _why(process))
        yield heard
    finally:
        reading.cancel()
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.gather(reading, return_exceptions=True)
        await process.wait()


async def _read(process: asyncio.subprocess.Process, heard: bytearray, begun: asyncio.Event) -> None:
    if process.stdout is not None:
        while piece := await process.stdout.read(65536):
            heard += piece
            begun.set()
    begun.set()


async def _why(process: asyncio.subprocess.Process) -> str:
    with suppress(ProcessLookupError):
        process.kill()
    said = await process.stderr.read() if process.stderr is not None else b""
    why = said.decode(errors="replace").strip() or "the microphone gives no sound"
    return f"{why}: {CONNECT}"
