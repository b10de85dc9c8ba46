"""The row `idle`: memory and context switches of idle contestants."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig import processes
from bench.rig.contestants import REF_WS, Target
from bench.rig.first_sound import measure_message

if TYPE_CHECKING:
    from bench.rig.rig import Rig, RunningContestant
    from bench.session import BenchSession

NAME = "idle"
MOST_MB, MOST_WAKE_UPS = 60.0, 1.0
CLOSES_WITHIN_S = 60.0
PERIODS = 3
WATCHED_S = {"quick": 3.0, "full": 10.0}


@dataclass
class Columns:
    """Megabytes of memory as PSS and as it would be alone, and wake-ups a second; by contestant."""

    pss: dict[str, list[float | None]] = field(default_factory=dict)
    alone: dict[str, list[float | None]] = field(default_factory=dict)
    waking: dict[str, list[float | None]] = field(default_factory=dict)


def measure(session: BenchSession) -> list[Finding]:
    columns = Columns()
    with session.rig() as rig, rig.start_edgevoice() as own:
        measure_message(rig, Target("edgevoice", own.name))
        closed = _stream_closes(rig)
        session.report_progress(f"idle: EdgeVoice, its stream {'is closed' if closed else 'stays open'}")
        _watch([own], WATCHED_S[session.mode], columns)
    kinds = (REF_WS, *(session.peers if session.is_full else ()))
    with session.rig() as rig, ExitStack() as stack:
        alive = []
        for kind in kinds:
            if started := session.start(stack, rig, kind):
                alive.append(started)
                measure_message(rig, kind.target)
        session.report_progress("idle: reference and peers")
        time.sleep(3)
        _watch(alive, WATCHED_S[session.mode], columns)
    session.keep_samples("idle memory", columns.alone)
    session.keep_samples("idle wake-ups", columns.waking)
    note = "" if closed else "the stream was still open after 60 s"
    return [_memory(columns, note), _wake_ups(columns, note)]


def _stream_closes(rig: Rig) -> bool:
    deadline = time.monotonic() + CLOSES_WITHIN_S
    while rig.pulse.open_streams() > 0:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _watch(contestants: list[RunningContestant], seconds: float, columns: Columns) -> None:
    for _ in range(PERIODS):
        before = {each.name: processes.context_switches(each.pid) for each in contestants}
        began = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        for each in contestants:
            woken = (processes.context_switches(each.pid) - before[each.name]) / passed
            columns.waking.setdefault(each.name, []).append(woken)
            columns.pss.setdefault(each.name, []).append(processes.pss_mb(each.pid))
            columns.alone.setdefault(each.name, []).append(processes.memory_alone_mb(each.pid))


def _memory(columns: Columns, note: str) -> Finding:
    pss, alone = figures(columns.pss), figures(columns.alone)
    drawn = {name: figure.median for name, figure in alone.items()}
    own = {"PSS": pss["edgevoice"], "alone": alone.pop("edgevoice")}
    return Finding(
        row=NAME,
        what="idle: memory of the whole process tree",
        goal=f"PSS at most {MOST_MB:.0f} MB",
        unit="MB; alone: no other process maps its files, so for all others",
        edgevoice=own,
        references={REF_WS.name: alone.pop(REF_WS.name)},
        peers=alone,
        met=own["PSS"].median <= MOST_MB and not note,
        note=note,
        drawn=drawn,
    )


def _wake_ups(columns: Columns, note: str) -> Finding:
    found = figures(columns.waking)
    own, reference = found.pop("edgevoice"), found.pop(REF_WS.name)
    return Finding(
        row=NAME,
        what="idle: wake-ups with the stream closed",
        goal="at most 1 a second",
        unit="a second",
        edgevoice={"tree": own},
        references={REF_WS.name: reference},
        peers=found,
        met=own.median <= MOST_WAKE_UPS and not note,
        note=note,
    )
