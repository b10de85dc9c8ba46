"""The row `ready`: the seconds from the start of a process until it accepts messages."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig.contestants import REF_WS

if TYPE_CHECKING:
    from bench.session import BenchSession

NAME = "ready"
MOST_S = 0.4
#: The pause in the script of the pipeline, which does not report when it has started.
PIPECAT_SLEEPS_S = 1.0


def measure(session: BenchSession) -> list[Finding]:
    columns: dict[str, list[float | None]] = {}
    rounds = session.count(3, 3)
    with session.rig() as rig:
        for number in range(rounds):
            session.report_progress(f"ready: start {number + 1} of {rounds}")
            with rig.start_edgevoice() as own:
                columns.setdefault("edgevoice", []).append(own.start_s)
            for kind in (REF_WS, *(session.peers if session.is_full else ())):
                with ExitStack() as stack:
                    started = session.start(stack, rig, kind)
                    if started is not None:
                        sleeps = PIPECAT_SLEEPS_S if kind.name == "pipecat" else 0.0
                        columns.setdefault(kind.name, []).append(started.start_s - sleeps)
    session.keep_samples(NAME, columns)
    found = figures(columns)
    drawn = {name: figure.median for name, figure in found.items()}
    own_figure = found.pop("edgevoice")
    reference = found.pop(REF_WS.name)
    return [
        Finding(
            row=NAME,
            what="ready after the start",
            goal="0.4 s to the first message that is taken",
            unit="s",
            edgevoice={"online": own_figure},
            references={REF_WS.name: reference},
            peers=found,
            met=own_figure.median <= MOST_S,
            drawn=drawn,
        )
    ]
