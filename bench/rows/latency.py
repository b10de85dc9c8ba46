"""The row `latency`: added latency with warm connections: PUBLISH to the first sound, less the server's time."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import differences, figures, median
from bench.rig.contestants import REF_SSE, REF_WS, TRANSPORTS, edgevoice_targets
from bench.rig.first_sound import measure_message
from bench.rig.sink_monitor import BLOCK_MS

if TYPE_CHECKING:
    from bench.figures.statistics import Figure
    from bench.rig.contestants import Target
    from bench.rig.rig import Rig
    from bench.session import BenchSession

NAME = "latency"
WARM_UP = 1
#: The pause between two messages of a contestant: some wait for the end of a message before the next.
APART_S = 3.0
#: The peers, and contestants that are not a baseline, take part in every n-th round of the first run.
PEERS_EVERY = {"quick": 3, "full": 4}

Columns = dict[str, list[float | None]]


def measure(session: BenchSession) -> list[Finding]:
    columns: Columns = {}
    runs, rounds = (3 if session.is_full else 1), session.count(6, 40)
    for run in range(runs):
        session.report_progress(f"latency: run {run + 1} of {runs}, {rounds} rounds")
        with session.rig() as rig, ExitStack() as stack:
            stack.enter_context(rig.start_edgevoice())
            stack.enter_context(rig.start_contestant(REF_WS))
            others = (REF_SSE, *session.peers) if run == 0 else ()
            peers = [kind.target for kind in others if session.start(stack, rig, kind)]
            _run(session, rig, peers, rounds, columns)
    session.keep_samples(NAME, columns)
    return [_finding(columns)]


def _run(session: BenchSession, rig: Rig, peers: list[Target], rounds: int, columns: Columns) -> None:
    always = [*edgevoice_targets(), REF_WS.target]
    last: dict[str, float] = {}
    for voice in (*always, *peers) * WARM_UP:
        measure_message(rig, voice)
    for number in range(rounds):
        with_peers = number % PEERS_EVERY[session.mode] == 0
        taking_part = [*always, *peers] if with_peers else always
        random.shuffle(taking_part)
        heard = {voice.name: _heard(rig, voice, last, peers) for voice in taking_part}
        for voice in (*always, *peers):
            columns.setdefault(voice.name, []).append(heard.get(voice.name))
        if number % 10 == 9:
            session.report_progress(f"latency: round {number + 1} of {rounds}")


def _heard(rig: Rig, voice: Target, last: dict[str, float], peers: list[Target]) -> float | None:
    if voice in peers:
        time.sleep(max(0.0, last.get(voice.name, 0.0) + APART_S - time.monotonic()))
    time.sleep(random.random() * 0.02)  # in no step with the sink's blocks
    heard = measure_message(rig, voice)
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
