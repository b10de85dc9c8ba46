"""Helpers for tests of an output: a context, a progress that remembers, audio that arrives in pieces."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from edgevoice import testing
from edgevoice.plugin import Context, SpeechOptions


def context(state_dir: Path, sample_rate: int = 24000) -> Context:
    """A context in which nothing but the rate of the speech matters."""
    return testing.context(state_dir, speech=SpeechOptions(sample_rate=sample_rate))


@dataclass
class Recorder:
    """A progress that remembers the last, and sees to it that numbers never fall."""

    frames_handed: int = 0
    frames_heard: int = 0
    first_handed: asyncio.Event = field(default_factory=asyncio.Event)

    def written(self, frames: int) -> None:
        assert frames >= self.frames_handed
        self.frames_handed = frames
        self.first_handed.set()

    def played(self, frames: int) -> None:
        assert frames >= self.frames_heard
        assert frames <= self.frames_handed
        self.frames_heard = frames


async def pieces(pcm: bytes, seed: int = 1, largest: int = 2000) -> AsyncIterator[bytes]:
    """The audio in pieces of random length, as fast as it is asked for."""
    sizes = Random(seed)
    while pcm:
        size = 2 * sizes.randint(1, largest)
        yield pcm[:size]
        pcm = pcm[size:]


async def in_bursts(bursts: list[bytes], gap: float) -> AsyncIterator[bytes]:
    """Audio that arrives slowly: `gap` seconds of nothing between two bursts."""
    for number, pcm in enumerate(bursts):
        if number:
            await asyncio.sleep(gap)
        yield pcm
