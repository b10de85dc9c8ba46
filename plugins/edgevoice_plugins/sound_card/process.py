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
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice import BYTES_PER_FRAME, OutputError
from edgevoice_plugins.sound_card_child import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

CHILD_MODULE = "edgevoice_plugins.sound_card_child"

DIED = "its process died; check whether ALSA works: `aplay -L`"


class ProcessLostError(OutputError):
    """The child process has ended or makes no progress."""


def child_environment() -> dict[str, str]:
    """Return an environment in which a child imports the same modules as this process."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class ChildProcess:
    """A child process, from its start until it is lost. Messages to a lost process are dropped."""

    def __init__(self, connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
        #: Why the process was lost; None while it runs.
        self.lost: str | None = None
        #: Full name of the device; empty until it was opened.
        self.device = ""
        self._connection = connection
        self._process = process
        self._loop = asyncio.get_running_loop()
        #: The kinds of messages received since the last START.
        self._received: set[bytes] = set()
        #: Set when `lost` is, and at each message but POSITION.
        self._changed = asyncio.Event()
        self._on_position: Callable[[int, int], None] = lambda _written, _played: None
        #: Frames sent since the last START, frames played of them, and whether no more follow.
        self._sent = self._played = 0
        self._end_sent = False
        self._lead_in_s = 0.0
        #: When the card last made progress, or was last given work while it had none; monotonic seconds.
        self._progressed_at = monotonic()

    @classmethod
    async def spawn(cls, device: str) -> Self:
        """Start a process for a device, given by its name or a part of it.

        Messages sent before the process is ready are kept for it.

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
        child = cls(ours, process)
        child._loop.add_reader(ours, child._receive)
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stalled_s(self) -> float:
        """Seconds for which the card has made no progress, although it has work."""
        return max(0.0, monotonic() - self._progressed_at) if self._has_work else 0.0

    def has_received(self, kind: bytes) -> bool:
        """Return whether a message of this kind, except POSITION, has come since the last START."""
        return kind in self._received

    async def wait_for(self, kind: bytes) -> None:
        """Wait until `has_received`.

        Raises:
            ProcessLostError: The process was lost before.
        """
        while kind not in self._received:
            if self.lost is not None:
                raise ProcessLostError(self.lost)
            self._changed.clear()
            await self._changed.wait()

    def start(self, rate: int, lead_in_s: float, on_position: Callable[[int, int], None]) -> None:
        """Start an announcement at `rate` Hz after at least `lead_in_s` seconds of silence.

        `on_position` takes the numbers of each POSITION and of STOPPED.
        """
        self._received.clear()
        self._on_position = on_position
        self._sent, self._played, self._end_sent = 0, 0, False
        self._lead_in_s = lead_in_s
        self._progressed_at = monotonic()
        self._send(wire.START, rate, round(lead_in_s * rate))

    def write(self, pcm: bytes) -> None:
        """Send the next frames."""
        self._note_new_work()
        for start in range(0, len(pcm), wire.MAX_PAYLOAD_BYTES):
            self._send(wire.AUDIO, payload=pcm[start : start + wire.MAX_PAYLOAD_BYTES])
        self._sent += len(pcm) // BYTES_PER_FRAME

    def end(self) -> None:
        """Announce that no more frames follow; DONE confirms that they were played."""
        self._note_new_work()
        self._end_sent = True
        self._send(wire.END)

    def stop(self) -> None:
        """Drop what was not played yet; STOPPED confirms it."""
        self._send(wire.STOP)

    def probe(self, rate: int) -> None:
        """Open and close the card without a sound; OPENED confirms it."""
        self._received.discard(wire.OPENED)
        self._send(wire.PROBE, rate)

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
        self._changed.set()

    @property
    def _has_work(self) -> bool:
        return wire.OPENED not in self._received or self._end_sent or self._sent > self._played

    def _note_new_work(self) -> None:
        if not self._has_work:
            self._progressed_at = max(self._progressed_at, monotonic())  # the lead-in may not be over

    def _send(self, kind: bytes, first: int = 0, second: int = 0, payload: bytes = b"") -> None:
        if self.lost is not None:
            return
        try:
            self._connection.send(wire.HEADER.pack(kind, first, second) + payload)
        except BlockingIOError:  # the socket holds much more than is sent ahead of playback
            self.kill("it does not read its messages")
        except OSError:
            self._receive()  # it may have sent the reason
            self.kill(DIED)

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while self.lost is None:
                # The reset, caused by messages the process did not read, is reported once, before its last messages.
                with suppress(ConnectionResetError):
                    if message := self._connection.recv(wire.MAX_MESSAGE_BYTES):
                        self._handle(message)
                    else:
                        self.kill(DIED)

    def _handle(self, message: bytes) -> None:
        kind, first, second = wire.HEADER.unpack_from(message)
        text = message[wire.HEADER.size :].decode()
        if kind in (wire.POSITION, wire.STOPPED):
            self._played = second
            self._progressed_at = monotonic()
            self._on_position(first, second)
        elif kind == wire.OPENED:
            self.device = text
            # The card is silent during the lead-in: that is no stall.
            self._progressed_at = monotonic() + self._lead_in_s
        elif kind == wire.DONE:
            # A DRAINED that came after START was that of the previous announcement.
            self._received.discard(wire.DRAINED)
        elif kind == wire.LOST:
            self.kill(text)
        if kind != wire.POSITION:
            self._received.add(kind)
            self._changed.set()


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
