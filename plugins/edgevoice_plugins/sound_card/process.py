"""The daemon's end of the sound card's process: start it, tell it, note what it says, kill it."""

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

from edgevoice_plugins.sound_card_child import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

CHILD = "edgevoice_plugins.sound_card_child"

DIED = "its process died; see whether ALSA works: `aplay -L`"


class ProcessLost(Exception):
    """The process has ended or makes no progress, and why."""


@dataclass(slots=True)
class Told:
    """What the process has said since it was told to start; frames at the card's rate."""

    device: str = ""
    """The name of the device that was opened."""
    capacity: int | None = None
    handed: int = 0
    heard: int = 0
    done: bool = False
    """All but the last `EARLY_S` was heard."""
    out: bool = False
    """The last frame was."""
    stopped: bool = False

    @property
    def is_open(self) -> bool:
        return self.capacity is not None


def child_environment() -> dict[str, str]:
    """The environment in which a child finds the very modules that this process finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class CardProcess:
    """One life of the process. `news` is called whenever there is something new in `told` or `lost`."""

    def __init__(
        self, line: socket.socket, process: subprocess.Popen[bytes], news: Callable[[], None]
    ) -> None:
        self.told = Told()
        self.lost: str | None = None
        self._line = line
        self._process = process
        self._news = news
        self._loop = asyncio.get_running_loop()

    @classmethod
    def born(cls, device: str, news: Callable[[], None]) -> Self:
        """Start one for `device`; what it is told meanwhile waits until it is ready.

        Raises:
            ProcessLost: it cannot be started.
        """
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setblocking(False)
        with theirs:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", CHILD, str(theirs.fileno()), device],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=child_environment(),
                )
            except OSError as error:
                line.close()
                raise ProcessLost(f"its process cannot be started: {error.strerror}") from error
        card = cls(line, process, news)
        card.listen()
        return card

    def listen(self) -> None:
        """Take note of what it says from now on."""
        self._loop.add_reader(self._line, self._receive)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_fading(self) -> bool:
        """Whether the last of what was played is still to be heard."""
        return self.lost is None and self.told.done and not self.told.out

    def begin(self, rate: int, lead_in: int) -> None:
        """Begin an announcement at `rate` Hz, with so many frames of silence at least: `told` begins anew.

        Raises:
            ProcessLost: the process has ended.
        """
        self.told = Told()
        self.send(wire.pack(wire.START, rate, lead_in))

    def send(self, message: bytes) -> None:
        """Send a message; there is always room for the little that is sent ahead of the ear.

        Raises:
            ProcessLost: the process has ended, or does not read any more.
        """
        self.check()
        try:
            self._line.send(message)
        except BlockingIOError:
            self.kill("it reads no more")
        except OSError:
            self._receive()  # it may have said why
            self.kill(DIED)
        self.check()

    def check(self) -> None:
        """Raise what ended the process, if anything did.

        Raises:
            ProcessLost: it has ended.
        """
        if self.lost is not None:
            raise ProcessLost(self.lost)

    def kill(self, why: str) -> None:
        """SIGKILL it, however it hangs; waits for nothing."""
        if self.lost is not None:
            return
        self.lost = why
        self._loop.remove_reader(self._line)
        self._line.close()
        self._process.kill()
        # A process that hangs in a driver outlives its SIGKILL for a while: nobody else waits for it.
        threading.Thread(target=self._process.wait, daemon=True).start()
        self._news()

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while self.lost is None:
                # That it ended with something unread is told once, and before what it said last.
                with suppress(ConnectionResetError):
                    self._note(self._line.recv(wire.LARGEST))
        self._news()

    def _note(self, message: bytes) -> None:
        kind = message[:1]
        if kind in (wire.HEARD, wire.STOPPED):
            self.told.handed, self.told.heard = wire.numbers(message)
            self.told.stopped = kind == wire.STOPPED
        elif kind == wire.OPENED:
            self.told.capacity, self.told.device = wire.opened(message)
        elif kind == wire.DONE:
            self.told.done = True
        elif kind == wire.OUT:
            self.told.out = True
        elif kind == wire.LOST:
            self.kill(message[1:].decode())
        else:
            self.kill(DIED)
