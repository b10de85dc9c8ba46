"""Records the monitor of a PulseAudio sink, and tells when each sample sounded.

A block is assumed to begin to sound when it arrives. The least delayed of the blocks nearby sets the clock, which
removes the delays of the recording thread. The resolution is one block, 5 ms. The monitor misses up to 5 ms of a
stream that starts, for every contestant.
"""

from __future__ import annotations

import bisect
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

import numpy as np

from bench.figures.sounds import onset
from bench.rig import processes
from bench.rig.pulse import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.rig.pulse import Pulse

BLOCK_MS = 5
CLOCK_BLOCKS = 20
SILENCE_LEVEL = 0.002
TONE_LEVEL = 0.1
KEEP_S = 300


class SinkMonitor:
    """`with Ear(pulse, "sink") as monitor:`; positions are frames since the recording began."""

    def __init__(self, pulse: Pulse, sink: str) -> None:
        self._pulse = pulse
        self.sink = pulse.sink(sink)
        self._lock = threading.Lock()
        self._pcm = bytearray()
        self._forgotten = 0
        self._starts: list[int] = []
        self._arrivals: list[float] = []
        self._recorder: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None

    def __enter__(self) -> Self:
        options = f"--rate={RATE} --channels=1 --format=s16le --raw --latency-msec={BLOCK_MS}"
        command = ["parec", f"--device={self.sink}.monitor", *options.split()]
        environment = self._pulse.environment()
        self._recorder = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,  # a block is read when it comes
        )
        self._listener = threading.Thread(target=self._listen, args=(self._recorder,), daemon=True)
        self._listener.start()
        deadline = time.monotonic() + 10
        while self.end_position < RATE // 2:
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing is captured from the sink {self.sink}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._recorder is not None and self._listener is not None:
            self._recorder.terminate()
            self._listener.join(processes.STOP_TIMEOUT_S)  # it reads to the end, then the pipe may be closed
            processes.stop(self._recorder)

    @property
    def end_position(self) -> int:
        """The position behind the last recorded frame."""
        with self._lock:
            return self._forgotten + len(self._pcm) // 2

    def position_after(self, moment: float) -> int:
        """Return the first position that arrived after a time of the monotonic clock, in seconds."""
        with self._lock:
            place = bisect.bisect_right(self._arrivals, moment)
            return self._starts[place] if place < len(self._starts) else self._forgotten + len(self._pcm) // 2

    def time_of(self, position: int) -> float:
        """Return when a position sounded, in seconds of the monotonic clock."""
        with self._lock:
            place = bisect.bisect_right(self._starts, position) - 1
            near = range(max(0, place - CLOCK_BLOCKS), min(len(self._starts), place + CLOCK_BLOCKS + 1))
            return position / RATE + min(self._arrivals[i] - self._starts[i] / RATE for i in near)

    def samples(self, begin: int, end: int | None = None) -> NDArray[np.float32]:
        """Return the samples between two positions, -1..1; at least the last 300 s are available."""
        with self._lock:
            first = (begin - self._forgotten) * 2
            last = len(self._pcm) // 2 * 2 if end is None else (end - self._forgotten) * 2
            piece = bytes(self._pcm[max(0, first) : max(0, last)])
        return np.frombuffer(piece, "<i2").astype(np.float32) / np.float32(32768)

    def first_sound(self, begin: int, within: float, level: float = TONE_LEVEL) -> int | None:
        """Return the position of the first sample louder than `level` from `begin` on; None if none comes in that time."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            heard = self.samples(begin)
            place = onset(heard, level)
            if place is not None:
                return begin + place
            begin += len(heard)
            time.sleep(0.004)
        return None

    def wait_for_silence(self, seconds: float = 0.12, within: float = 30.0) -> bool:
        """Return whether the sink has been silent for this many seconds."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            heard = self.samples(self.end_position - int(seconds * RATE))
            if len(heard) and float(np.abs(heard).max()) < SILENCE_LEVEL:
                return True
            time.sleep(0.02)
        return False

    def _listen(self, recorder: subprocess.Popen[bytes]) -> None:
        if recorder.stdout is None:
            return
        while piece := recorder.stdout.read(65536):
            moment = time.monotonic()
            with self._lock:
                self._starts.append(self._forgotten + len(self._pcm) // 2)
                self._arrivals.append(moment)
                self._pcm += piece
                self._forget()

    def _forget(self) -> None:
        most = KEEP_S * RATE * 2
        if len(self._pcm) < 2 * most:
            return
        del self._pcm[:most]
        self._forgotten += most // 2
        known = bisect.bisect_left(self._starts, self._forgotten)
        del self._starts[:known]
        del self._arrivals[:known]
