"""Memory and processor time of the contestants while they are idle."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig import processes
from bench.rig.contestants import REF_WS, Voice
from bench.rig.hearing import hear

if TYPE_CHECKING:
    from bench.course import Course
    from bench.rig.rig import Rig, Started

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


def measure(course: Course) -> list[Finding]:
    columns = Columns()
    with course.rig() as rig, rig.edgevoice() as own:
        hear(rig, Voice("edgevoice", own.name))
        closed = _stream_closes(rig)
        course.tell(f"idle: EdgeVoice, its stream {'is closed' if closed else 'stays open'}")
        _watch([own], WATCHED_S[course.mode], columns)
    kinds = (REF_WS, *(course.peers if course.is_full else ()))
    with course.rig() as rig, ExitStack() as stack:
        alive = []
        for kind in kinds:
            if started := course.start(stack, rig, kind):
                alive.append(started)
                hear(rig, kind.voice)
        course.tell("idle: reference and peers")
        time.sleep(3)
        _watch(alive, WATCHED_S[course.mode], columns)
    course.keep("idle memory", columns.alone)
    course.keep("idle wake-ups", columns.waking)
    note = "" if closed else "the stream was still open after 60 s"
    return [_memory(columns, note), _wake_ups(columns, note)]


def _stream_closes(rig: Rig) -> bool:
    deadline = time.monotonic() + CLOSES_WITHIN_S
    while rig.pulse.streams() > 0:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _watch(contestants: list[Started], seconds: float, columns: Columns) -> None:
    for _ in range(PERIODS):
        before = {each.name: processes.wake_ups(each.pid) for each in contestants}
        began = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        for each in contestants:
            woken = (processes.wake_ups(each.pid) - before[each.name]) / passed
            columns.waking.setdefault(each.name, []).append(woken)
            columns.pss.setdefault(each.name, []).append(processes.memory(each.pid))
            columns.alone.setdefault(each.name, []).append(processes.memory_alone(each.pid))


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
