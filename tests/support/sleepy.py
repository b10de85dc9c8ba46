"""A speaker that sleeps, and swallows the beginning of what wakes it; and a microphone in front of it.

It goes to sleep when its sound server puts its sink to sleep, which that does a second after the last stream.
"""

import asyncio
import fcntl
import os
import threading
import time
from contextlib import suppress
from typing import Self

from tests.support.pulse import BYTES_PER_FRAME, Pulse

ASLEEP_S = 0.5
"""A sink that plays gives something, if only silence, many times in this while."""
BLINK_S = 0.01


class SleepySpeaker(Pulse):
    """A `Pulse` whose sink sleeps; `captured` has silence for the first `swallowed` seconds after each sleep."""

    def __init__(self, swallowed: float, rate: int = 24000) -> None:
        super().__init__(rate)
        self._swallowed = round(swallowed * rate) * BYTES_PER_FRAME
        self._ears = threading.Thread(target=self._hear)
        self._gone = threading.Event()

    def __enter__(self) -> Self:
        super().__enter__()
        self.load("module-suspend-on-idle timeout=1")
        self.load(f"module-pipe-source file={self.folder}/ears format=s16le channels=1 rate={self.rate}")
        self._ears.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._gone.set()
        self._ears.join()
        super().__exit__(*details)

    async def sleeps(self) -> None:
        """Wait until it is asleep."""
        before = -1
        while before != len(self._captured):
            before = len(self._captured)
            await asyncio.sleep(ASLEEP_S + 0.1)

    def _listen(self, fifo: int) -> None:
        last, left = 0.0, 0
        while piece := os.read(fifo, 65536):
            left = self._swallowed if time.monotonic() - last > ASLEEP_S else left
            last = time.monotonic()
            lost = min(left, len(piece))
            left -= lost
            self._captured += bytes(lost) + piece[lost:]
        os.close(fifo)

    def _hear(self) -> None:
        ears = os.open(self.folder / "ears", os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(ears, fcntl.F_SETPIPE_SZ, 4096)  # what nobody listens to is soon forgotten
        heard, last = len(self._captured), time.monotonic()
        while not self._gone.wait(BLINK_S):
            news = bytes(self._captured[heard:])
            heard += len(news)
            if not news and time.monotonic() - last > ASLEEP_S:
                news = bytes(round(self.rate * BLINK_S) * BYTES_PER_FRAME)
            elif news:
                last = time.monotonic()
            with suppress(BlockingIOError):  # nobody listens
                os.write(ears, news)
        os.close(ears)
