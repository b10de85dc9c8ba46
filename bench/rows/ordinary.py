"""An ordinary sentence at default settings: from PUBLISH to its first sound, beside each peer at its own defaults."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig.contestants import REF_WS, Target
from bench.rig.first_sound import measure_text
from bench.rig.sink_monitor import BLOCK_MS
from bench.server.knobs import sentence

if TYPE_CHECKING:
    from bench.rig.rig import Rig
    from bench.session import BenchSession

NAME = "ordinary"
CHARACTERS = (20, 60, 120)
#: Announcements before the first that counts: the routes measure the transports on them.
WARM_UP = 15
#: Seconds between two messages of one contestant.
APART_S = 1.0
#: Speech of 2.7 s for 120 characters, of which each second takes 0.6 s: the synthesis of a sentence takes as long as
#: at 15 characters a second and five times real time, and the run a third of the time.
SERVER = {"characters_per_second": 45.0, "speed": 5 / 3}
EDGEVOICE = Target("edgevoice", "edgevoice")

Columns = dict[str, list[float | None]]


def measure(session: BenchSession) -> list[Finding]:
    rounds, findings = session.count(5, 20), []
    with session.rig() as rig, ExitStack() as stack:
        rig.server.set(**SERVER)
        stack.enter_context(rig.start_edgevoice())
        stack.enter_context(rig.start_contestant(REF_WS))
        peers = [kind.target for kind in session.peers if session.start(stack, rig, kind)]
        for _ in range(WARM_UP):
            measure_text(rig, EDGEVOICE, sentence(next(rig.numbers), random.choice(CHARACTERS)))
        for voice in (REF_WS.target, *peers):
            measure_text(rig, voice, sentence(next(rig.numbers), CHARACTERS[0]))
        for characters in CHARACTERS:
            session.report_progress(f"ordinary: {characters} characters, {rounds} rounds")
            columns = _run(rig, [EDGEVOICE, REF_WS.target, *peers], characters, rounds)
            session.keep_samples(f"{NAME} {characters}", columns)
            findings.append(_finding(characters, columns))
    return findings


def _run(rig: Rig, voices: list[Target], characters: int, rounds: int) -> Columns:
    columns: Columns = {voice.name: [] for voice in voices}
    last = dict.fromkeys(columns, 0.0)
    for _ in range(rounds):
        random.shuffle(voices)
        for voice in voices:
            time.sleep(max(0.0, last[voice.name] + APART_S - time.monotonic()))
            time.sleep(random.random() * 0.02)  # in no step with the sink's blocks
            total_s = measure_text(rig, voice, sentence(next(rig.numbers), characters))
            last[voice.name] = time.monotonic()
            columns[voice.name].append(None if total_s is None else total_s * 1000)
    return columns


def _finding(characters: int, columns: Columns) -> Finding:
    told = figures(columns)
    own, reference = told.pop(EDGEVOICE.name, None), told.pop(REF_WS.name, None)
    best = min((figure.median for figure in told.values()), default=None)
    return Finding(
        row=NAME,
        what=f"a sentence of {characters} characters at default settings, to its first sound",
        goal="not later than the best peer by more than one block of 5 ms, median",
        unit="ms from PUBLISH",
        edgevoice={EDGEVOICE.name: own} if own else {},
        references={REF_WS.name: reference} if reference else {},
        peers=told,
        met=own.median <= best + BLOCK_MS if own and best is not None else None,
        note="" if best is not None else "no peer is installed",
        drawn={name: figure.median for name, figure in {EDGEVOICE.name: own, **told}.items() if figure},
        resolution=BLOCK_MS,
    )
