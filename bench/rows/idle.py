"""What they take of the machine while nothing is to be said."""

from __future__ import annotations

import time
from contextlib import ExitStack
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


def measure(course: Course) -> list[Finding]:
    memory: dict[str, list[float | None]] = {}
    waking: dict[str, list[float | None]] = {}
    seconds = course.times(6, 20)
    with course.rig() as rig, rig.edgevoice() as own:
        hear(rig, Voice("edgevoice", own.name))
        closed = _stream_closes(rig)
        course.tell(
            f"idle: the stream {'is closed' if closed else 'stays open'}; {PERIODS} times {seconds} s"
        )
        _watch([own], seconds, memory, waking)
    for kind in (REF_WS, *course.peers):
        with course.rig() as rig, ExitStack() as stack:
            started = course.start(stack, rig, kind)
            if started is not None:
                course.tell(f"idle: {kind.name}")
                hear(rig, kind.voice)
                time.sleep(2)
                _watch([started], seconds // 2, memory, waking)
    course.keep("idle memory", memory)
    course.keep("idle wake-ups", waking)
    note = "" if closed else "the stream was still open after 60 s"
    return [
        _finding("idle: memory of the whole tree", "at most 60 MB", "MB (PSS)", memory, MOST_MB, note),
        _finding("idle: wake-ups", "at most 1 a second", "a second", waking, MOST_WAKE_UPS, note),
    ]


def _stream_closes(rig: Rig) -> bool:
    deadline = time.monotonic() + CLOSES_WITHIN_S
    while rig.pulse.streams() > 0:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _watch(
    contestants: list[Started],
    seconds: int,
    memory: dict[str, list[float | None]],
    waking: dict[str, list[float | None]],
) -> None:
    for _ in range(PERIODS):
        before = {each.name: processes.wake_ups(each.pid) for each in contestants}
        began = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        for each in contestants:
            woken = (processes.wake_ups(each.pid) - before[each.name]) / passed
            waking.setdefault(each.name, []).append(woken)
            memory.setdefault(each.name, []).append(processes.memory(each.pid))


def _finding(
    what: str, goal: str, unit: str, columns: dict[str, list[float | None]], most: float, note: str
) -> Finding:
    found = figures(columns)
    drawn = {name: figure.median for name, figure in found.items()}
    own, reference = found.pop("edgevoice"), found.pop(REF_WS.name)
    return Finding(
        row=NAME,
        what=what,
        goal=goal,
        unit=unit,
        edgevoice={"tree": own},
        references={REF_WS.name: reference},
        peers=found,
        met=own.median <= most and not note,
        note=note,
        drawn=drawn,
    )
