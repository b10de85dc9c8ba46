"""Added latency, warm, on the loopback: from the message to its first sample, less the server's own time."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import differences, figures, median
from bench.rig.contestants import REF_SSE, REF_WS, TRANSPORTS, edgevoice_voices
from bench.rig.ear import BLOCK_MS
from bench.rig.hearing import hear

if TYPE_CHECKING:
    from bench.course import Course
    from bench.figures.statistics import Figure
    from bench.rig.contestants import Voice
    from bench.rig.rig import Rig

NAME = "latency"
WARM_UP = 1
#: The pause between two messages of a contestant: some wait for the end of a message before the next.
APART_S = 3.0
#: The peers, and contestants that are not a baseline, take part in every n-th round of the first run.
PEERS_EVERY = {"quick": 3, "full": 4}

Columns = dict[str, list[float | None]]


def measure(course: Course) -> list[Finding]:
    columns: Columns = {}
    runs, rounds = (3 if course.is_full else 1), course.times(6, 40)
    for run in range(runs):
        course.tell(f"latency: run {run + 1} of {runs}, {rounds} rounds")
        with course.rig() as rig, ExitStack() as stack:
            stack.enter_context(rig.edgevoice())
            stack.enter_context(rig.started(REF_WS))
            others = (REF_SSE, *course.peers) if run == 0 else ()
            peers = [kind.voice for kind in others if course.start(stack, rig, kind)]
            _run(course, rig, peers, rounds, columns)
    course.keep(NAME, columns)
    return [_finding(columns)]


def _run(course: Course, rig: Rig, peers: list[Voice], rounds: int, columns: Columns) -> None:
    always = [*edgevoice_voices(), REF_WS.voice]
    last: dict[str, float] = {}
    for voice in (*always, *peers) * WARM_UP:
        hear(rig, voice)
    for number in range(rounds):
        with_peers = number % PEERS_EVERY[course.mode] == 0
        taking_part = [*always, *peers] if with_peers else always
        random.shuffle(taking_part)
        heard = {voice.name: _heard(rig, voice, last, peers) for voice in taking_part}
        for voice in (*always, *peers):
            columns.setdefault(voice.name, []).append(heard.get(voice.name))
        if number % 10 == 9:
            course.tell(f"latency: round {number + 1} of {rounds}")


def _heard(rig: Rig, voice: Voice, last: dict[str, float], peers: list[Voice]) -> float | None:
    if voice in peers:
        time.sleep(max(0.0, last.get(voice.name, 0.0) + APART_S - time.monotonic()))
    time.sleep(random.random() * 0.02)  # in no step with the sink's blocks
    heard = hear(rig, voice)
    last[voice.name] = time.monotonic()
    return heard.added_ms if heard is not None else None


def _finding(columns: Columns) -> Finding:
    over = differences(columns, columns[REF_WS.name])
    own = {name: over.pop(name) for name in TRANSPORTS if name in over}
    reference = over.pop(REF_WS.name, None)
    references = {REF_SSE.name: over.pop(REF_SSE.name)} if reference and REF_SSE.name in over else {}
    return Finding(
        row=NAME,
        what="added latency, warm, loopback",
        goal="at most one block of 5 ms over ref_ws, median and p95",
        unit="ms over ref_ws, paired",
        edgevoice=own,
        references=references,
        peers=over,
        met=all(within(figure) for figure in own.values()) if len(own) == len(TRANSPORTS) else None,
        drawn=_drawn(columns),
        resolution=BLOCK_MS,
    )


def within(figure: Figure) -> bool:
    return figure.median <= BLOCK_MS and figure.p95 <= BLOCK_MS


def _drawn(columns: Columns) -> dict[str, float]:
    medians = {name: figure.median for name, figure in figures(columns).items()}
    own = [medians.pop(name) for name in TRANSPORTS if name in medians]
    return {**({"edgevoice": median(own)} if own else {}), **medians}
