"""A child process that speaks, seen from its parent.

started ──READY──► resting ──speak──► speaking ──DONE──► resting
                               │ closed early
                               └──drain──► resting, or killed where it does not stop in time
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edgevoice import TransportError
from edgevoice_plugins.local_voice.wire import HEADER, STOP, Kind, SpokenWord, Utterance, encode_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

COMMAND = (sys.executable, "-P", "-m", "edgevoice_plugins.local_voice.child")


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceTimeouts:
    """How long a child may take; tests pass shorter times."""

    #: Until it can speak. A small board that is busy takes a few seconds.
    start_s: float = 20.0
    #: Between two frames; after that the child is stuck.
    stall_s: float = 10.0
    #: From the stop to the end of an utterance.
    drain_s: float = 1.0


class VoiceProcessDiedError(TransportError):
    """The child has died."""

    def __init__(self) -> None:
        super().__init__("the local voice's process ended")


class VoiceProcess:
    """A child process that speaks one utterance at a time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        pipes: tuple[asyncio.ReadTransport, asyncio.WriteTransport],
        timeouts: VoiceTimeouts,
    ) -> None:
        self._process = process
        self._reader = reader
        self._from_child, self._to_child = pipes
        self._timeouts = timeouts
        #: Whether it has completed an utterance.
        self.proven = False
        self._resting = True
        self._killed = False
        self._header: tuple[int, int] | None = None

    @classmethod
    async def start(cls, timeouts: VoiceTimeouts | None = None) -> VoiceProcess:
        """Start a child and wait until it can speak.

        Raises:
            TransportError: it cannot be started; the message says why.
        """
        timeouts = timeouts or VoiceTimeouts()
        starting = asyncio.create_task(cls.spawn(COMMAND, timeouts), name="start the local voice")
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread that starts the process cannot be cancelled: wait for it, or the child is left behind.
            await (await starting).end()
            raise
        except OSError as error:
            raise TransportError(f"the local voice cannot be started: {error.strerror}") from error
        try:
            await child.wait_ready()
        except BaseException:
            await child.end()
            raise
        return child

    @classmethod
    async def spawn(cls, command: tuple[str, ...], timeouts: VoiceTimeouts) -> VoiceProcess:
        """Start a command as a child, without waiting until it can speak.

        Raises:
            OSError: the command cannot be started.
        """
        # In a thread: starting a process reads the disk, which may take seconds on an SD card.
        process = await asyncio.to_thread(_popen, command)
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        from_child, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        to_child, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)
        return cls(process, reader, (from_child, to_child), timeouts)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it can be given another utterance."""
        return self._resting and not self._killed and self._process.poll() is None

    async def wait_ready(self) -> None:
        """Wait until the child can speak.

        Raises:
            TransportError: it cannot; the message says why.
        """
        await self._frame(self._timeouts.start_s)

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes | SpokenWord]:
        """Yield s16le mono at the utterance's rate in frames of 30 ms, and each word after it was spoken.

        After an early end the child needs `drain`.

        Raises:
            VoiceProcessDiedError: the child died.
            TransportError: it is stuck, or cannot speak this.
        """
        self._resting = False
        self._to_child.write(encode_line(utterance))
        while True:
            kind, payload = await self._frame(self._timeouts.stall_s)
            match kind:
                case Kind.AUDIO:
                    yield payload
                case Kind.WORD:
                    yield msgspec.json.decode(payload, type=SpokenWord)
                case _:
                    self._resting = self.proven = True
                    return

    async def drain(self) -> None:
        """Stop the utterance and read the rest of it; kill a child that does not stop."""
        if self._resting:
            return
        self._to_child.write(STOP)
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(self._timeouts.drain_s):
                while (await self._frame(self._timeouts.drain_s))[0] is not Kind.DONE:
                    pass
            self._resting = self.proven = True
        if not self._resting:
            self.kill()

    def kill(self) -> None:
        """Kill the child; `end` must follow."""
        self._killed = True
        self._process.kill()

    async def end(self) -> None:
        """Kill the child, wait until it is gone, and close its pipes."""
        self.kill()
        await asyncio.to_thread(self._process.wait)
        self._from_child.close()
        self._to_child.close()

    async def _frame(self, timeout_s: float) -> tuple[Kind, bytes]:
        try:
            async with asyncio.timeout(timeout_s):
                # Kept, so that a cancellation between header and payload loses neither.
                self._header = self._header or HEADER.unpack(await self._read(HEADER.size))
                payload = await self._read(self._header[1])
                kind, self._header = Kind(self._header[0]), None
        except asyncio.IncompleteReadError as error:
            raise VoiceProcessDiedError from error
        except TimeoutError as error:
            self.kill()
            raise TransportError(f"the local voice sent nothing for {timeout_s:.0f} s") from error
        if kind is Kind.FAILED:
            self._resting = True
            raise TransportError(f"the local voice failed: {payload.decode()}")
        return kind, payload

    async def _read(self, count: int) -> bytes:
        if self._killed:
            raise VoiceProcessDiedError
        return await self._reader.readexactly(count)


def _popen(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy would start a thread for each core
        start_new_session=True,  # Ctrl-C is for the parent, which ends its children in its own order
    )
