"""What the sound server calls the sink behind a device that only says `default`."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from subprocess import DEVNULL, PIPE

WITHIN_S = 2.0
PREFIX = re.compile(r"^Default Sink: (.+)$", re.MULTILINE)
ROUTED = frozenset({"default", "sysdefault", "pulse", "pipewire"})
"""Devices that play wherever the sound server says."""


async def names(device: str) -> tuple[str, ...]:
    """What the sink of a device is called: the device's own name, and the sound server's, if it chooses the sink.

    PulseAudio and PipeWire name a sink after its hardware, as in `alsa_output.usb-...`, `bluez_output.`
    and `...hdmi-stereo`.
    """
    if device.casefold() not in ROUTED:
        return (device,)
    sink = os.environ.get("PULSE_SINK") or await _default_sink()
    return (device, sink) if sink else (device,)


async def _default_sink() -> str | None:
    try:
        asked = await asyncio.create_subprocess_exec(
            "pactl", "info", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError:  # there is no sound server's own tool, so most probably no server
        return None
    try:
        async with asyncio.timeout(WITHIN_S):
            told, _ = await asked.communicate()
    except TimeoutError:
        return None
    finally:
        with suppress(ProcessLookupError):
            asked.kill()
        await asked.wait()
    found = PREFIX.search(told.decode(errors="replace"))
    return found[1].strip() if found else None
