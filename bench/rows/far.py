"""Added latency over TLS, 40 ms away, after idle time in which the server gave its connections up."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig.contestants import REF_COLD, TRANSPORTS, Voice
from bench.rig.hearing import hear
from bench.rig.lightning import RTT_MS

if TYPE_CHECKING:
    from bench.course import Course

NAME = "far"
MOST_MS = 8.0
SERVER_IDLE_S, WAIT_S = 5.0, 15.0
REAL_SERVER_IDLE_S, REAL_WAIT_S, REAL_TIMES = 60.0, 600.0, 3


def measure(course: Course) -> list[Finding]:
    idle, wait, rounds = SERVER_IDLE_S, WAIT_S, course.times(2, 8)
    if course.real_idle:
        idle, wait, rounds = REAL_SERVER_IDLE_S, REAL_WAIT_S, REAL_TIMES
    columns: dict[str, list[float | None]] = {}
    with course.rig(idle=idle) as rig, ExitStack() as stack:
        voices = []
        for transport in TRANSPORTS:  # each in a daemon of its own, so that none is kept warm by another
            stack.enter_context(rig.edgevoice(speaker=transport, far=True))
            voices.append(Voice(transport, transport, transport=transport))
        stack.enter_context(rig.started(REF_COLD, far=True))
        voices.append(REF_COLD.voice)
        for voice in voices:
            hear(rig, voice)
        for number in range(rounds):
            course.tell(f"far: {wait:.0f} s of idle time, {number + 1} of {rounds}")
            time.sleep(wait)
            for voice in random.sample(voices, len(voices)):
                heard = hear(rig, voice)
                column = columns.setdefault(voice.name, [])
                column.append(heard.added_ms - RTT_MS if heard is not None else None)
    course.keep(NAME, columns)
    return [_finding(columns, wait)]


def _finding(columns: dict[str, list[float | None]], wait: float) -> Finding:
    found = figures(columns)
    cold = found.pop(REF_COLD.name, None)
    return Finding(
        row=NAME,
        what=f"the same over TLS, 40 ms away, after {wait:.0f} s of idle time",
        goal="one round trip + 8 ms at p95, on each transport",
        unit="ms over one round trip",
        edgevoice=found,
        references={REF_COLD.name: cold} if cold else {},
        met=all(figure.p95 <= MOST_MS for figure in found.values()) if len(found) == 3 else None,
        note="peers were not run over TLS",
    )
