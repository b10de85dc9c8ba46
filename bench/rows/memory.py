"""The row `memory`: growth while a very long message is synthesized much faster than it is played."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures, is_reached
from bench.rig import processes
from bench.rig.contestants import REF_WS, Target
from bench.rig.first_sound import measure_message
from bench.server.knobs import tagged_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.rig.rig import Rig, RunningContestant
    from bench.session import BenchSession

NAME = "memory"
MOST_MB = 3.0
SPEED = 50.0
#: Watched for so long after the server has made all.
MARGIN_S = 8.0
TRANSPORT = "http_stream"


def measure(session: BenchSession) -> list[Finding]:
    grown: dict[str, list[float | None]] = {}
    lengths = (10, 60) if session.is_full else (10,)
    for minutes in lengths:
        session.report_progress(f"memory: EdgeVoice, {minutes} minutes of speech")
        with session.rig() as rig, rig.start_edgevoice() as own:
            voice = Target("edgevoice", own.name, transport=TRANSPORT)
            measure_message(rig, voice)
            most = _growth(rig, [(voice, own)], minutes)
            grown[f"{minutes} minutes"] = [most[own.name]]
    if session.is_full:
        grown |= _others(session)
    session.keep_samples(NAME, grown)
    return [_finding(grown, lengths)]


def _others(session: BenchSession) -> dict[str, list[float | None]]:
    with session.rig() as rig, ExitStack() as stack:
        session.report_progress("memory: reference and peers, 10 minutes of speech")
        alive = []
        for kind in (REF_WS, *session.peers):
            started = session.start(stack, rig, kind, sink=f"sink_{kind.name}")
            if started is not None:
                alive.append((kind.target, started))
        return {name: [most] for name, most in _growth(rig, alive, 10).items()}


def _growth(
    rig: Rig, contestants: Sequence[tuple[Target, RunningContestant]], minutes: int
) -> dict[str, float]:
    """Return the largest growth of each contestant in megabytes."""
    rig.server.set(speed=SPEED)
    for voice, _ in contestants:
        text = tagged_text(next(rig.numbers), 1000) if voice.uses_server else "Hello."
        rig.publisher.publish(voice.topic, voice.payload(text))
    time.sleep(5)
    before = {started.name: processes.pss_mb(started.pid) for _, started in contestants}
    most = dict(before)
    for voice, _ in contestants:
        text = tagged_text(next(rig.numbers), minutes * 60_000)
        if not voice.uses_server:
            text = "The quick brown fox jumps over the lazy dog near the river bank. " * 15 * minutes
        rig.publisher.publish(voice.topic, voice.payload(text))
    end = time.monotonic() + minutes * 60 / SPEED + MARGIN_S
    while time.monotonic() < end:
        for _, started in contestants:
            most[started.name] = max(most[started.name], processes.pss_mb(started.pid))
        time.sleep(0.25)
    return {name: most[name] - before[name] for name in most}


def _finding(grown: dict[str, list[float | None]], lengths: Sequence[int]) -> Finding:
    found = figures(grown)
    columns = {f"{minutes} minutes": grown[f"{minutes} minutes"] for minutes in lengths}
    own = {name: found.pop(name) for name in columns if name in found}
    reference = found.pop(REF_WS.name, None)
    drawn = {name: max(figure.median, 0.1) for name, figure in found.items()}
    return Finding(
        row=NAME,
        what="memory for a 10- and a 60-minute message",
        goal="3 MB more at most",
        unit="MB (PSS) more than before",
        edgevoice=own,
        references={REF_WS.name: reference} if reference else {},
        peers=found,
        met=is_reached(columns, lambda figure: figure.median <= MOST_MB),
        note=f"the server makes {SPEED:.0f} times real time, over {TRANSPORT}",
        drawn={"edgevoice": max(own["10 minutes"].median, 0.1), **drawn} if "10 minutes" in own else {},
    )
