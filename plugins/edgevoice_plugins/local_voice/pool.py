"""The children that speak: started when first needed, replaced when they die, ended with the pool."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from edgevoice_plugins.local_voice.process import VoiceEnded, VoiceProcess
from edgevoice_plugins.local_voice.voices import espeak_rate, espeak_voice
from edgevoice_plugins.local_voice.wire import Utterance

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from edgevoice_plugins.local_voice.wire import SpokenWord

MOST = 2
"""Children at once. One makes speech hundreds of times faster than it is heard; the second is for a
listener that takes it no faster than that."""
PATIENCE = 0.1
"""Seconds to wait for a child that is busy before another is started."""


def missing_dependency() -> str | None:
    """What has to be installed before there is a local voice."""
    if find_spec("espeakng_loader") is None:
        return 'needs espeakng-loader: pip install "edgevoice[local]"'
    return None


class VoicePool:
    """Speaks, also several utterances at once, in at most `MOST` child processes."""

    def __init__(self) -> None:
        self._idle: list[VoiceProcess] = []
        self._children: set[VoiceProcess] = set()
        self._starting = 0
        self._changed = asyncio.Event()
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> list[int]:
        """The children's process ids."""
        return [child.pid for child in self._children]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.kill()
        await asyncio.gather(*self._settling)
        await asyncio.gather(*(child.ended() for child in self._children))
        self._children.clear()
        self._idle.clear()

    async def speak(
        self, text: str, *, voice: str = "", language: str | None = None, speed: float = 1.0, rate: int
    ) -> AsyncGenerator[bytes | SpokenWord]:
        """Yield s16le mono at `rate` Hz in frames of 30 ms, and each word once it was spoken.

        Yields nothing where nothing in the text can be spoken. Closing it early stops the speech at once.
        `voice` and `language` are the vendor's; unknown ones get the plain voice and English.

        Raises:
            TransportError: the child died or could not be started; the next utterance gets a new one.
        """
        utterance = Utterance(
            text=text,
            voice=espeak_voice(voice, language),
            rate=espeak_rate(speed),
            sample_rate=rate,
        )
        begun = False
        while True:
            child = await self._lend()
            try:
                async with aclosing(child.speak(utterance)) as speech:
                    async for part in speech:
                        begun = True
                        yield part
            except VoiceEnded:
                # One that died unnoticed while it was idle is not this utterance's fault.
                if begun or not child.seasoned:
                    raise
            else:
                return
            finally:
                self._give_back(child)

    async def _lend(self) -> VoiceProcess:
        clock = asyncio.get_running_loop().time
        patience = clock() + PATIENCE
        while True:
            while self._idle:
                child = self._idle.pop()
                if child.usable:
                    return child
                self._settle(child)
            running = len(self._children) + self._starting
            if running == 0 or (running < MOST and clock() >= patience):
                return await self._start()
            await self._change(patience if running < MOST else None)

    async def _start(self) -> VoiceProcess:
        self._starting += 1
        try:
            child = await VoiceProcess.start()
        finally:
            self._starting -= 1
            self._tell()
        self._children.add(child)
        return child

    def _give_back(self, child: VoiceProcess) -> None:
        if child.usable:
            self._idle.append(child)
            self._tell()
        else:
            self._settle(child)

    def _settle(self, child: VoiceProcess) -> None:
        # In a task of its own: whoever stopped listening does not wait for the child to come to rest.
        task = asyncio.create_task(self._settled(child), name=f"settle voice {child.pid}")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settled(self, child: VoiceProcess) -> None:
        await child.settle()
        if child.usable:
            self._idle.append(child)
        else:
            child.kill()
            await child.ended()
            self._children.discard(child)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self, until: float | None) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            return
