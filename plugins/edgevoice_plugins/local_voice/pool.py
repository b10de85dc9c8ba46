"""The child processes that speak: started when first needed, replaced when they die, ended with the pool."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from edgevoice_plugins.local_voice.process import VoiceProcess, VoiceProcessDiedError, VoiceTimeouts
from edgevoice_plugins.local_voice.voices import espeak_voice, words_per_minute
from edgevoice_plugins.local_voice.wire import Utterance

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from edgevoice_plugins.local_voice.wire import SpokenWord

#: A child speaks hundreds of times faster than real time. The second is for when a slow listener
#: blocks the first.
MAX_CHILDREN = 2
#: Seconds that an utterance waits for a busy child before another one is started.
SECOND_CHILD_DELAY_S = 0.1


def missing_dependency() -> str | None:
    """Return what must be installed for the local voice; None if nothing is missing."""
    if find_spec("espeakng_loader") is None:
        return 'needs espeakng-loader: pip install "edgevoice[local]"'
    return None


class VoicePool:
    """Speaks utterances, also several at once, in at most `MAX_CHILDREN` child processes."""

    def __init__(self, timeouts: VoiceTimeouts | None = None) -> None:
        self._timeouts = timeouts
        self._idle: list[VoiceProcess] = []
        self._children: set[VoiceProcess] = set()
        self._starting = 0
        self._changed = asyncio.Event()
        self._draining: set[asyncio.Task[None]] = set()

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
            child.kill()  # first, so that those that are drained end at once
        await asyncio.gather(*self._draining)
        await asyncio.gather(*(child.end() for child in self._children))
        self._children.clear()
        self._idle.clear()

    async def speak(
        self, text: str, *, voice: str = "", language: str | None = None, speed: float = 1.0, rate: int
    ) -> AsyncGenerator[bytes | SpokenWord]:
        """Yield s16le mono at `rate` Hz in frames of 30 ms, and each word after it was spoken.

        Yields nothing for a text without anything to speak. Closing it early stops the speech at once.
        `voice` and `language` are the vendor's; unknown ones give the default voice and English.

        Raises:
            TransportError: the child died or cannot be started; the next utterance gets a new one.
        """
        utterance = Utterance(
            text=text,
            voice=espeak_voice(voice, language),
            words_per_minute=words_per_minute(speed),
            sample_rate=rate,
        )
        begun = False
        while True:
            child = await self._acquire()
            try:
                async with aclosing(child.speak(utterance)) as speech:
                    async for part in speech:
                        begun = True
                        yield part
            except VoiceProcessDiedError:
                # A child that died while it was idle says nothing about this utterance.
                if begun or not child.proven:
                    raise
            else:
                return
            finally:
                self._release(child)

    async def _acquire(self) -> VoiceProcess:
        clock = asyncio.get_running_loop().time
        start_second_at = clock() + SECOND_CHILD_DELAY_S
        while True:
            while self._idle:
                child = self._idle.pop()
                if child.usable:
                    return child
                self._drain(child)
            running = len(self._children) + self._starting
            if running == 0 or (running < MAX_CHILDREN and clock() >= start_second_at):
                return await self._start()
            await self._wait_for_change(start_second_at if running < MAX_CHILDREN else None)

    async def _start(self) -> VoiceProcess:
        self._starting += 1
        try:
            child = await VoiceProcess.start(self._timeouts)
        finally:
            self._starting -= 1
            self._notify()
        self._children.add(child)
        return child

    def _release(self, child: VoiceProcess) -> None:
        if child.usable:
            self._idle.append(child)
            self._notify()
        else:
            self._drain(child)

    def _drain(self, child: VoiceProcess) -> None:
        # In a task of its own: a listener that stops does not wait for the child.
        task = asyncio.create_task(self._drain_or_end(child), name=f"drain voice {child.pid}")
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _drain_or_end(self, child: VoiceProcess) -> None:
        await child.drain()
        if child.usable:
            self._idle.append(child)
        else:
            await child.end()
            self._children.discard(child)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait_for_change(self, until: float | None) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            return
