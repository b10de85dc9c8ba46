"""A speaker that loses the first audio after its sink was suspended, as HDMI receivers and Bluetooth speakers do."""

import asyncio
import os
import time

from edgevoice import BYTES_PER_FRAME
from tests.support.pulse import Pulse

#: A sink that is not suspended delivers audio or silence much more often than this.
SUSPENDED_AFTER_S = 0.5


class SleepySpeaker(Pulse):
    """A `Pulse` whose sink is suspended after 1 s without a stream.

    `captured` has silence instead of the first `lost_s` seconds after each suspension.
    """

    def __init__(self, lost_s: float, rate: int = 24000) -> None:
        super().__init__(rate)
        self._lost_bytes = round(lost_s * rate) * BYTES_PER_FRAME

    def start(self) -> None:
        super().start()
        self.load("module-suspend-on-idle timeout=1")

    async def wait_suspended(self) -> None:
        """Wait until the sink is suspended."""
        before = -1
        while before != len(self._captured):
            before = len(self._captured)
            await asyncio.sleep(SUSPENDED_AFTER_S + 0.1)

    def _listen(self, fifo: int) -> None:
        last, left = 0.0, 0
        while chunk := os.read(fifo, 65536):
            left = self._lost_bytes if time.monotonic() - last > SUSPENDED_AFTER_S else left
            last = time.monotonic()
            lost = min(left, len(chunk))
            left -= lost
            self._captured += bytes(lost) + chunk[lost:]
        os.close(fifo)
