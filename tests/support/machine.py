"""Tell a machine that is too slow for a test in real time from a daemon that is.

A child process that does nothing but sleep notes how late it wakes, and the kernel says for how long tasks waited for
a processor. A child, because the thread of a test shares its interpreter with the daemon under test.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

#: A process that sleeps wakes within 5 ms even if every processor has four busy processes. Later means that the whole
#: machine stood still, and the shortest buffer in the tests holds 20 ms.
WAKE_LIMIT_S = 0.02
#: Share of a test's time in which some task waited for a processor.
PRESSURE_LIMIT = 0.25
#: More reruns than this share of all tests fail the run: then the machine, or the tests, need attention.
RERUN_LIMIT = 0.01
#: In a run of fewer tests, one rerun says nothing about the rate.
RERUN_LIMIT_MIN_TESTS = 200

_PRESSURE = Path("/proc/pressure/cpu")
_CHILD = """
import os, select, struct, time
worst, before = 0.0, time.monotonic()
while True:
    asked, _, _ = select.select([0], [], [], 0.005)
    now = time.monotonic()
    worst, before = max(worst, now - before - 0.005), now
    if asked:
        if not os.read(0, 1):
            break
        os.write(1, struct.pack("d", worst))
        worst = 0.0
"""


class MachineTooSlow(Exception):
    """The machine was late, so the failure says nothing about the daemon. Only such a test is run again."""


@dataclass(frozen=True)
class Lateness:
    """How late the machine was during a test."""

    worst_wake_s: float
    #: The value is None where the kernel does not give it.
    pressure: float | None

    @property
    def is_too_slow(self) -> bool:
        return self.worst_wake_s > WAKE_LIMIT_S or (self.pressure or 0.0) > PRESSURE_LIMIT

    def __str__(self) -> str:
        waited = (
            "" if self.pressure is None else f", tasks waited for a processor {self.pressure:.0%} of the time"
        )
        return f"a sleeping process woke up to {self.worst_wake_s * 1e3:.0f} ms late{waited}"


class LatenessMeter:
    """Use as a context manager; call `reset()` before the measured work and `read()` after it."""

    def __enter__(self) -> Self:
        # -S: without site, it starts in 10 ms and takes 7 MB.
        self.child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.reset()
        return self

    def __exit__(self, *_: object) -> None:
        self.child.communicate()

    def reset(self) -> None:
        self._worst_wake()
        self._since, self._stalled = time.monotonic(), _stalled_s()

    def read(self) -> Lateness:
        stalled, duration = _stalled_s(), time.monotonic() - self._since
        pressure = None
        if stalled is not None and self._stalled is not None:
            pressure = (stalled - self._stalled) / duration
        return Lateness(self._worst_wake(), pressure)

    def _worst_wake(self) -> float:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(b"?")
        self.child.stdin.flush()
        (worst,) = struct.unpack("d", self.child.stdout.read(8))
        return float(worst)


def _stalled_s() -> float | None:
    """Return for how long some task has waited for a processor since the machine started."""
    try:
        return int(_PRESSURE.read_text().split("total=")[1].split()[0]) / 1e6
    except (OSError, IndexError):  # an old kernel, or one with psi=0
        return None


def are_too_many(reruns: int, tests: int) -> bool:
    return tests >= RERUN_LIMIT_MIN_TESTS and reruns > RERUN_LIMIT * tests
