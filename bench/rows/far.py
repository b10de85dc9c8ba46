"""The row `far`: added latency over TLS, 40 ms away, after the server closed its idle connections."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig.contestants import REF_COLD, TRANSPORTS, Target
from bench.rig.first_sound import measure_message
from bench.rig.lightning import RTT_MS

if TYPE_CHECKING:
    from bench.session import BenchSession

NAME = "far"
MOST_MS = 8.0
SERVER_IDLE_S, WAIT_S = 5.0, 15.0
REAL_SERVER_IDLE_S, REAL_WAIT_S, REAL_TIMES = 60.0, 600.0, 3


def measure(session: BenchSession) -> list[Finding]:
    idle, wait, rounds = SERVER_IDLE_S, WAIT_S, session.count(2, 8)
    if session.real_idle:
        idle, wait, rounds = REAL_SERVER_IDLE_S, REAL_WAIT_S, REAL_TIMES
    columns: dict[str, list[float | None]] = {}
    with session.rig(idle=idle) as rig, ExitStack() as stack:
        voices = []
        for transport in TRANSPORTS:  # each in a daemon of its own, so that none is kept warm by another
            stack.enter_context(rig.start_edgevoice(speaker=transport, far=True))
            voices.append(Target(transport, transport, transport=transport))
        stack.enter_context(rig.start_contestant(REF_COLD, far=True))
        voices.append(REF_COLD.target)
        for voice in voices:
            measure_message(rig, voice)
        for number in range(rounds):
            session.report_progress(f"far: {wait:.0f} s of idle time, {number + 1} of {rounds}")
            time.sleep(wait)
            for voice in random.sample(voices, len(voices)):
                heard = measure_message(rig, voice)
                column = columns.setdefault(voice.name, [])
                column.append(heard.added_ms - RTT_MS if heard is not None else None)
    session.keep_samples(NAME, columns)
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
