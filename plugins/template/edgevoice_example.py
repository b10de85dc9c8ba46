"""An output that plays into nothing, in real time. Replace `play` with yours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from edgevoice import BYTES_PER_FRAME, Output, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import Progress, Registry


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options, as in `output: {type: example, speed: 4}`. Each needs a default."""

    #: How many times faster than real time it plays.
    speed: float = 1.0


class Example(Output):
    options = Options
    config: Options

    @classmethod
    def validate_options(cls, options: Options) -> list[tuple[str, str]]:
        return [] if options.speed > 0 else [("speed", "must be more than 0")]

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        frames = 0
        async for pcm in audio:
            written = frames + len(pcm) // BYTES_PER_FRAME
            progress.written(written)
            await asyncio.sleep((written - frames) / rate / self.config.speed)
            progress.played(written)
            frames = written


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.output("example", Example)
