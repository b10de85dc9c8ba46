"""The simulated speech: a tone, in chunks that are sent when a model would have made them."""

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

    from bench.server.knobs import Knobs, SpeechSpec

AMPLITUDE = 0.25
BYTES_PER_FRAME = 2


@cache
def _second(frequency: int, rate: int) -> bytes:
    """Return two seconds of the tone, so that any second that begins in the first is one slice."""
    phase = 2 * np.pi * frequency * (np.arange(2 * rate) % rate) / rate
    return bytes((AMPLITUDE * np.sin(phase) * 32767).astype("<i2").tobytes())


def tone(order: SpeechSpec, start: int, frames: int) -> bytes:
    """Return `frames` frames of the speech from frame `start` on, 16-bit PCM."""
    second, pieces = _second(order.frequency, order.rate), []
    while frames > 0:
        at, size = start % order.rate, min(frames, order.rate)
        pieces.append(second[at * BYTES_PER_FRAME : (at + size) * BYTES_PER_FRAME])
        start, frames = start + size, frames - size
    return b"".join(pieces)


def schedule(order: SpeechSpec, knobs: Knobs) -> Iterator[tuple[float, int, int]]:
    """Yield for each chunk: its time in seconds after the request, its first frame, its number of frames."""
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


async def chunks(order: SpeechSpec, knobs: Knobs, asked: float) -> AsyncIterator[bytes]:
    """Yield the chunks at their times; `asked` is the time of the request in seconds of the monotonic clock."""
    for due, start, frames in schedule(order, knobs):
        if (wait := asked + due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        yield tone(order, start, frames)


async def whole(order: SpeechSpec, knobs: Knobs, asked: float) -> bytes:
    """Return all of the speech when it is complete; as a WAV file if the request asks for it."""
    due = asked + knobs.setup_ms / 1000 + order.seconds / knobs.speed
    await asyncio.sleep(max(0.0, due - time.monotonic()))
    pcm = tone(order, 0, int(order.seconds * order.rate))
    return header(len(pcm), order.rate) + pcm if order.wav else pcm


def header(size: int, rate: int) -> bytes:
    """Return the header of a WAV file with `size` bytes of 16-bit mono PCM."""
    layout = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * BYTES_PER_FRAME, BYTES_PER_FRAME, 16)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", size)
