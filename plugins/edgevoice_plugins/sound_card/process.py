"""The daemon's end of the sound card's child process: spawn it, command it, read its status, kill it.

Life of the child, as the daemon sees it; `sound_card_child/player.py` draws the states inside "running":

             spawn                 device lost, crash, or killed because it made no progress
    (none) ────────▶ running ────────────────────────────────────────────────────────────────▶ lost
                        ▲                                                                        │
                        └─── spawn again: playback resumes at the first frame not yet played ────┘

A lost process is never repaired: there is one way back for a killed or frozen sound server, an unplugged card
and a crash. See docs/decisions/sound-card-child.md.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice import OutputError
from edgevoice_plugins.sound_card_child import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

CHILD_MODULE = "edgevoice_plugins.sound_card_child"

DIED = "its process died; check whether ALSA works: `aplay -L`"


class ProcessLostError(OutputError):
    """The child process has ended or makes no progress."""


@dataclass(slots=True)
class ChildStatus:
    """The child's reports since the last START. Frames are at the card's rate."""

    #: Full name of the open device.
    device: str = ""
    #: Frames that the card holds; None until the card is open.
    capacity: int | None = None
    #: Frames written to the card.
    written: int = 0
    #: Frames played.
    played: int = 0
    #: Whether all but the last `DONE_EARLY_S` was played.
    is_done: bool = False
    #: Whether the last frame was played.
    is_drained: bool = False
    is_stopped: bool = False

    @property
    def is_open(self) -> bool:
        return self.capacity is not None


def child_environment() -> dict[str, str]:
    """Return an environment in which a child imports the same modules as this process."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class ChildProcess:
    """A child process, from its start until it is lost.

    Every method that sends a message raises `ProcessLostError` if the process is lost.
    """

    def __init__(
        self, connection: socket.socket, process: subprocess.Popen[bytes], on_change: Callable[[], None]
    ) -> None:
        self.status = ChildStatus()
        #: Why the process was lost; None while it runs.
        self.lost: str | None = None
        self._connection = connection
        self._process = process
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def spawn(cls, device: str, on_change: Callable[[], None]) -> Self:
        """Start a process for `device`. Messages sent before it is ready are kept for it.

        Args:
            device: Name of the device, or a part of it.
            on_change: Called after each change of `status` or `lost`.

        Raises:
            ProcessLostError: The process cannot be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        # In a thread, because loading the interpreter may wait for a slow disk.
        starting = asyncio.get_running_loop().run_in_executor(None, _start_process, theirs, device)
        try:
            process = await asyncio.shield(starting)
        except OSError as error:
            ours.close()
            raise ProcessLostError(f"its process cannot be started: {error.strerror}") from error
        except asyncio.CancelledError:
            ours.close()
            starting.add_done_callback(_discard)
            raise
        child = cls(ours, process, on_change)
        child._loop.add_reader(ours, child._receive)
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_draining(self) -> bool:
        """Whether the last frames of an announcement that is done are still being played."""
        return self.lost is None and self.status.is_done and not self.status.is_drained

    def start(self, rate: int, lead_in: int) -> None:
        """Start an announcement at `rate` Hz after at least `lead_in` frames of silence; reset `status`."""
        self.status = ChildStatus()
        self._send(wire.pack(wire.START, rate, lead_in))

    def write(self, pcm: bytes) -> None:
        """Send the next frames, at most one period of them."""
        self._send(wire.AUDIO + pcm)

    def end(self) -> None:
        """Announce that no more frames follow."""
        self._send(wire.END)

    def stop(self) -> None:
        """Drop what was not played yet; `status.is_stopped` confirms it."""
        self._send(wire.pack(wire.STOP))

    def probe(self, rate: int) -> None:
        """Open and close the card without a sound; `status.is_open` confirms it."""
        self.status.capacity = None
        self._send(wire.pack(wire.PROBE, rate))

    def check(self) -> None:
        """Raise `ProcessLostError` if the process is lost."""
        if self.lost is not None:
            raise ProcessLostError(self.lost)

    def kill(self, reason: str) -> None:
        """Kill the process without waiting for its end."""
        if self.lost is not None:
            return
        self.lost = reason
        self._loop.remove_reader(self._connection)
        self._connection.close()
        self._process.kill()
        # A process that hangs in a driver survives SIGKILL for a while.
        threading.Thread(target=self._process.wait, daemon=True).start()
        self._on_change()

    def _send(self, message: bytes) -> None:
        self.check()
        try:
            self._connection.send(message)
        except BlockingIOError:  # the socket holds much more than is sent ahead of playback
            self.kill("it does not read its messages")
        except OSError:
            self._receive()  # it may have sent the reason
            self.kill(DIED)
        self.check()

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while self.lost is None:
                # The reset, caused by messages the process did not read, is reported once, before its last messages.
                with suppress(ConnectionResetError):
                    self._handle(self._connection.recv(wire.MAX_MESSAGE_BYTES))
        self._on_change()

    def _handle(self, message: bytes) -> None:
        kind = message[:1]
        if kind in (wire.POSITION, wire.STOPPED):
            self.status.written, self.status.played = wire.unpack(message)
            self.status.is_stopped = kind == wire.STOPPED
        elif kind == wire.OPENED:
            self.status.capacity, self.status.device = wire.unpack_opened(message)
        elif kind == wire.DONE:
            self.status.is_done = True
        elif kind == wire.DRAINED:
            self.status.is_drained = True
        elif kind == wire.LOST:
            self.kill(message[1:].decode())
        else:
            self.kill(DIED)


def _start_process(connection: socket.socket, device: str) -> subprocess.Popen[bytes]:
    with connection:
        return subprocess.Popen(
            [sys.executable, "-m", CHILD_MODULE, str(connection.fileno()), device],
            pass_fds=[connection.fileno()],
            stdin=subprocess.DEVNULL,
            env=child_environment(),
        )


def _discard(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    """Kill a process whose start was cancelled."""
    if not starting.cancelled() and starting.exception() is None:
        process = starting.result()
        process.kill()
        threading.Thread(target=process.wait, daemon=True).start()
