"""The row `long`: the time from the server's first byte to the first sound of a text of ten minutes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig.contestants import BASE, REF_WS, Target
from bench.rig.first_sound import measure_message
from bench.server.knobs import Knobs

if TYPE_CHECKING:
    from bench.rig.rig import Rig
    from bench.rig.sink_monitor import SinkMonitor
    from bench.session import BenchSession

NAME = "long"
MOST_MS = 10.0
SENTENCE = "The quick brown fox jumps over the lazy dog near the bank. "
#: A text may have at most 8,000 characters.
CHARACTERS = 7900
SECONDS = 600
SPEED = 20.0
SOUNDS_WITHIN = 60.0


def measure(session: BenchSession) -> list[Finding]:
    times = session.count(5, 15)
    columns: dict[str, list[float | None]] = {"edgevoice": []}
    session.report_progress(f"long: EdgeVoice, {times} times")
    with session.rig() as rig, rig.start_edgevoice() as own:
        voice = Target("edgevoice", own.name)
        measure_message(rig, voice)
        _slow(rig)
        for _ in range(times):
            columns["edgevoice"].append(_first(rig.monitor, _published(rig, voice)))
            rig.publisher.publish(f"{BASE}/{own.name}/stop", "all")
            time.sleep(0.5)
    if session.is_full:
        columns |= _others(session)
    session.keep_samples(NAME, columns)
    return [_finding(columns)]


def _others(session: BenchSession) -> dict[str, list[float | None]]:
    """Measure the reference and the peers once, all at the same time; they cannot be stopped."""
    session.report_progress("long: reference and peers")
    with session.rig() as rig, ExitStack() as stack:
        alive = []
        for kind in (REF_WS, *(kind for kind in session.peers if kind.uses_server)):
            monitor = stack.enter_context(rig.monitor_of(kind.name))
            if session.start(stack, rig, kind, sink=kind.name):
                alive.append((kind, monitor))
                measure_message(rig, kind.target, monitor=monitor)
        time.sleep(3)
        _slow(rig)
        begun = {kind.name: (monitor, _published(rig, kind.target)) for kind, monitor in alive}
        return {name: [_first(*each)] for name, each in begun.items()}


def _slow(rig: Rig) -> None:
    rig.server.set(speed=SPEED, characters_per_second=CHARACTERS / SECONDS)


def _published(rig: Rig, voice: Target) -> float:
    text = f"no{next(rig.numbers)}x " + SENTENCE * (CHARACTERS // len(SENTENCE))
    return rig.publisher.publish(voice.topic, voice.payload(text))


def _first(monitor: SinkMonitor, published: float) -> float | None:
    """Return the milliseconds to the first sound, less those to the server's first byte."""
    left = published + SOUNDS_WITHIN - time.monotonic()
    position = monitor.first_sound(monitor.position_after(published), max(left, 0.1))
    if position is None:
        return None
    time.sleep(0.1)
    return (monitor.time_of(position) - published) * 1000 - Knobs().setup_ms


def _finding(columns: dict[str, list[float | None]]) -> Finding:
    found = figures(columns)
    own, reference = found.pop("edgevoice"), found.pop(REF_WS.name, None)
    return Finding(
        row=NAME,
        what="first sound of a 10-minute text",
        goal="the server's first byte + 10 ms",
        unit="ms after a stream's first byte",
        edgevoice={"http_stream": own},
        references={REF_WS.name: reference} if reference else {},
        peers=found,
        met=own.median <= MOST_MS and own.p95 <= MOST_MS,
        note=f"the server makes {SPEED:.0f} times real time",
        drawn={"edgevoice": own.median, **{name: figure.median for name, figure in found.items()}},
    )
