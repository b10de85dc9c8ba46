"""One child process that speaks, seen from its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgevoice.errors import TransportError
from edgevoice_plugins.local_voice.wire import HEADER, STOP, Kind, SpokenWord, Utterance, line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

START_WITHIN = 20.0
"""Seconds; a small board that is busy takes a few."""
STALL = 10.0
"""Seconds without a frame after which a child is taken for stuck."""
SETTLE_WITHIN = 1.0
"""Seconds that a stopped child has to come to rest."""


class VoiceEnded(TransportError):
    """The child has died."""

    def __init__(self) -> None:
        super().__init__("the local voice's process ended")


class VoiceProcess:
    """A child process that says one utterance at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seasoned = False
        """Whether it has spoken and come to rest before."""
        self._resting = True
        self._reading = False
        self._killed = False
        self._header: tuple[int, int] | None = None

    @classmethod
    async def start(cls) -> VoiceProcess:
        """Start a child and wait until it can speak.

        Raises:
            TransportError: it could not be started, and why.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "edgevoice_plugins.local_voice.child"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy would start a thread for each core
                start_new_session=True,  # Ctrl-C is for the parent, which ends its children in its own order
            )
        except OSError as error:
            raise TransportError(f"the local voice cannot be started: {error.strerror}") from error
        child = cls(process)
        try:
            await child._frame(START_WITHIN)
        except BaseException:
            child.kill()
            await child.ended()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it can be given another utterance."""
        return self._resting and self._process.returncode is None

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes | SpokenWord]:
        """Yield s16le mono at the utterance's rate in frames of 30 ms, and each word once it was spoken.

        After an early end the child needs `settle`.

        Raises:
            VoiceEnded: the child died.
            TransportError: it is stuck, or cannot say it.
        """
        self._resting = False
        self._down(line(utterance))
        while True:
            kind, payload = await self._frame(STALL)
            match kind:
                case Kind.AUDIO:
                    yield payload
                case Kind.WORD:
                    yield msgspec.json.decode(payload, type=SpokenWord)
                case _:
                    self._resting = self.seasoned = True
                    return

    async def settle(self) -> None:
        """Stop what is being said; a child that does not come to rest is killed."""
        if self._resting:
            return
        self._down(STOP)
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(SETTLE_WITHIN):
                while (await self._frame(SETTLE_WITHIN))[0] is not Kind.DONE:
                    pass
            self._resting = self.seasoned = True
        if not self._resting:
            self.kill()

    def kill(self) -> None:
        self._killed = True
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                # Process.kill would collect a child that is dead already, behind the back of the event loop.
                os.kill(self.pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Wait until a killed process is gone and its pipes are closed."""
        if self._reading:
            await self._process.wait()
        else:
            await self._process.communicate()
        # It would close itself once both pipes are seen to be gone, for which the loop may not last long enough.
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001

    def _down(self, data: bytes) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(data)

    async def _frame(self, within: float) -> tuple[Kind, bytes]:
        try:
            async with asyncio.timeout(within):
                # Kept, so that being cancelled between header and payload loses neither.
                self._header = self._header or HEADER.unpack(await self._exactly(HEADER.size))
                payload = await self._exactly(self._header[1])
                kind, self._header = Kind(self._header[0]), None
        except asyncio.IncompleteReadError as error:
            raise VoiceEnded from error
        except TimeoutError as error:
            self.kill()
            raise TransportError(f"the local voice gave nothing for {within:.0f} s") from error
        if kind is Kind.FAILED:
            self._resting = True
            raise TransportError(f"the local voice failed: {payload.decode()}")
        return kind, payload

    async def _exactly(self, count: int) -> bytes:
        if self._process.stdout is None or self._killed:
            raise VoiceEnded
        self._reading = True
        try:
            return await self._process.stdout.readexactly(count)
        finally:
            self._reading = False
