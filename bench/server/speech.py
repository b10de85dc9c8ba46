"""The simulated speech: a tone, in chunks that exist when a model would have made them."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.server.knobs import Knobs, Order

AMPLITUDE = 0.25
BYTES_PER_FRAME = 2


@cache
def _second(frequency: int, rate: int) -> bytes:
    """Two seconds of the tone, so that a second from any place in the first is one piece."""
    phase = 2 * np.pi * frequency * (np.arange(2 * rate) % rate) / rate
    return bytes((AMPLITUDE * np.sin(phase) * 32767).astype("<i2").tobytes())


def tone(order: Order, start: int, frames: int) -> bytes:
    """Frames of the speech, from `start` on; PCM of 16 bit."""
    second, pieces = _second(order.frequency, order.rate), []
    while frames > 0:
        at, size = start % order.rate, min(frames, order.rate)
        pieces.append(second[at * BYTES_PER_FRAME : (at + size) * BYTES_PER_FRAME])
        start, frames = start + size, frames - size
    return b"".join(pieces)


def schedule(order: Order, knobs: Knobs) -> Iterator[tuple[float, int, int]]:
    """For each chunk: seconds after the request at which it exists, its first frame, its frames."""
    chance = random.Random(order.seed * 1000003 + 17)
    total, size = int(order.seconds * order.rate), max(1, int(knobs.chunk_ms / 1000 * order.rate))
    due = knobs.setup_ms / 1000
    for start in range(0, total, size):
        if start:
            due += size / order.rate / knobs.speed
            if knobs.stall_share and chance.random() < knobs.stall_share:
                due += knobs.stall_ms / 1000
        late = chance.expovariate(1000 / knobs.jitter_ms) if knobs.jitter_ms else 0.0
        yield due + late, start, min(size, total - start)


async def chunks(order: Order, knobs: Knobs, asked: float) -> AsyncIterator[bytes]:
    """The chunks as they come to exist, counted from the moment `asked`."""
    for due, start, frames in schedule(order, knobs):
        if (wait := asked + due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        yield tone(order, start, frames)


async def whole(order: Order, knobs: Knobs, asked: float) -> bytes:
    """All of the speech, once it is made; a WAV file if that was asked for."""
    due = asked + knobs.setup_ms / 1000 + order.seconds / knobs.speed
    await asyncio.sleep(max(0.0, due - time.monotonic()))
    pcm = tone(order, 0, int(order.seconds * order.rate))
    return header(len(pcm), order.rate) + pcm if order.wav else pcm


def header(size: int, rate: int) -> bytes:
    """The head of a WAV file with `size` bytes of mono PCM of 16 bit."""
    layout = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * BYTES_PER_FRAME, BYTES_PER_FRAME, 16)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", size)
