"""The row `holes`: silence inside speech while the server jitters, barely keeps up, stalls, or is steady."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.sounds import holes, onset
from bench.figures.statistics import Figure
from bench.figures.streamed_message import (
    StreamedMessage,
    max_holes_beyond_stalls,
    silence_ratio,
    start_delay_ms,
)
from bench.rig.contestants import REF_WS, Target
from bench.rig.pulse import RATE
from bench.rig.sink_monitor import TONE_LEVEL
from bench.server.knobs import Knobs, tagged_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.rig.rig import Rig
    from bench.rig.sink_monitor import SinkMonitor
    from bench.session import BenchSession

NAME = "holes"
PROFILES: dict[str, dict[str, float]] = {
    "jitter": {"speed": 3.0, "jitter_ms": 60.0},
    "1.1 times real time": {"speed": 1.1, "jitter_ms": 40.0},
    "stalls": {"speed": 2.0, "jitter_ms": 20.0, "stall_share": 0.06, "stall_ms": 400.0},
}
SPEECH_MS = 5000
#: This many daemons of EdgeVoice run at once, each on a sink of its own, and share the seeds.
LANES = 5
#: Messages of each profile that are not counted: a buffer that learns has met this server before.
WARM_UP = {"quick": 1, "full": 2}
OVER_S = 0.9
MOST_SHARE, MOST_LATER_MS = 0.25, 100.0
PEER_SEEDS = 3
STEADY_MINUTES = {"quick": 0.25, "full": 1.0}
TRANSPORT = "http_stream"


@dataclass(frozen=True)
class MonitoredTarget:
    """A target, and the monitor of its sink."""

    name: str
    voice: Target
    monitor: SinkMonitor


def measure(session: BenchSession) -> list[Finding]:
    seeds = session.count(5, 50)
    own = _own(session, seeds)
    others = _others(session, PEER_SEEDS) if session.is_full else {profile: {} for profile in PROFILES}
    session.samples |= {
        f"holes: {profile}": {
            name: [round(each.heard.seconds * 1000, 1) for each in found]
            for name, found in {"edgevoice": own[profile], **others[profile]}.items()
        }
        for profile in PROFILES
    }
    return [
        *(_finding(profile, own[profile], others[profile]) for profile in PROFILES),
        _steady(session),
    ]


def _own(session: BenchSession, seeds: int) -> dict[str, list[StreamedMessage]]:
    found: dict[str, list[StreamedMessage]] = {profile: [] for profile in PROFILES}
    with session.rig() as rig, ExitStack() as stack:
        lanes = []
        for number in range(min(LANES, seeds)):
            name = f"lane{number}"
            monitor = stack.enter_context(rig.monitor_of(name))
            stack.enter_context(rig.start_edgevoice(speaker=name, sink=name))
            lanes.append(MonitoredTarget("edgevoice", Target(name, name, transport=TRANSPORT), monitor))
        for profile, knobs in PROFILES.items():
            session.report_progress(f"holes: EdgeVoice, {profile}, {seeds} seeds, {len(lanes)} at once")
            rig.server.set(**knobs)
            for number in range(WARM_UP[session.mode]):
                _round(rig, [(lane, 1000 + number * len(lanes) + i) for i, lane in enumerate(lanes)], knobs)
            for first in range(1, seeds + 1, len(lanes)):
                some = list(zip(lanes, range(first, seeds + 1), strict=False))
                found[profile] += [heard for _, heard in _round(rig, some, knobs)]
    return found


def _others(session: BenchSession, seeds: int) -> dict[str, dict[str, list[StreamedMessage]]]:
    """Measure the reference and the streaming peers at the same time with the same seeds."""
    found: dict[str, dict[str, list[StreamedMessage]]] = {profile: {} for profile in PROFILES}
    kinds = [REF_WS, *(kind for kind in session.peers if kind.streams and kind.uses_server)]
    with session.rig() as rig, ExitStack() as stack:
        lanes = []
        for kind in kinds:
            monitor = stack.enter_context(rig.monitor_of(kind.name))
            if session.start(stack, rig, kind, sink=kind.name):
                lanes.append(MonitoredTarget(kind.name, kind.target, monitor))
        for profile, knobs in PROFILES.items():
            session.report_progress(f"holes: reference and peers, {profile}, {seeds} seeds")
            rig.server.set(**knobs)
            for seed in range(1, seeds + 1):
                for lane, heard in _round(rig, [(lane, seed) for lane in lanes], knobs):
                    found[profile].setdefault(lane.name, []).append(heard)
    return found


def _round(
    rig: Rig, lanes: Sequence[tuple[MonitoredTarget, int]], knobs: dict[str, float]
) -> list[tuple[MonitoredTarget, StreamedMessage]]:
    """Publish one message for each target at the same time, with the same seed."""
    begun = []
    for lane, seed in lanes:
        number = next(rig.numbers)
        text = tagged_text(number, SPEECH_MS, seed=seed)
        published = rig.publisher.publish(lane.voice.topic, lane.voice.payload(text))
        begun.append((lane, number, lane.monitor.position_after(published)))
    time.sleep(SPEECH_MS / 1000)
    heard = []
    for lane, number, begin in begun:
        found = _heard(rig, lane.monitor, number, begin, knobs)
        if found is not None:
            heard.append((lane, found))
    return heard


def _heard(
    rig: Rig, monitor: SinkMonitor, number: int, begin: int, knobs: dict[str, float]
) -> StreamedMessage | None:
    record = rig.server.record(number, within=15)
    monitor.wait_for_silence(OVER_S)
    samples = monitor.samples(begin)
    silence, first = holes(samples, RATE), onset(samples, TONE_LEVEL)
    if record is None or record.first is None or silence is None or first is None:
        return None
    stalls = Knobs(**knobs).stall_ms if knobs.get("stall_share") else 0.0  # type: ignore[arg-type]
    return StreamedMessage(
        silence, monitor.time_of(begin + first) - record.first, tuple(record.chunks), stalls / 1000
    )


def _finding(profile: str, own: list[StreamedMessage], others: dict[str, list[StreamedMessage]]) -> Finding:
    stalls = profile == "stalls"
    shares = {
        name: silence_ratio(found, fixed=stalls) for name, found in {"edgevoice": own, **others}.items()
    }
    mine, start = shares.pop("edgevoice"), start_delay_ms(own)
    beyond = max_holes_beyond_stalls(own)
    if stalls:
        goal = "no more than a fixed prebuffer of the same start; at most one hole a stall"
        met = mine.median <= 1 and beyond <= 0
        note = f"holes beyond the stalls in one message: {max(0, beyond)} at most"
    else:
        goal = "at most 0.25 of it, for at most 100 ms of later start"
        met = mine.median <= MOST_SHARE and start.median <= MOST_LATER_MS
        note = ""
    reference = {REF_WS.name: shares.pop(REF_WS.name)} if REF_WS.name in shares else {}
    player = "a fixed prebuffer of the same start" if stalls else "a player without prebuffer"
    return Finding(
        row=NAME,
        what=f"silence inside speech: {profile}",
        goal=goal,
        unit=f"times the silence of {player}, all seeds; begins {start.median:.0f} / {start.p95:.0f} ms later",
        edgevoice={TRANSPORT: mine},
        references=reference,
        peers=shares,
        met=met if mine.n else None,
        note=note if mine.n else "nothing was heard",
        drawn={"edgevoice": mine.median, **{name: figure.median for name, figure in shares.items()}},
    )


def _steady(session: BenchSession) -> Finding:
    minutes = session.steady_minutes or STEADY_MINUTES[session.mode]
    session.report_progress(f"holes: {minutes:g} minutes on a steady server")
    count, seconds = 0, 0.0
    with session.rig() as rig, rig.start_edgevoice():
        rig.server.set(speed=2.0)
        voice = Target("edgevoice", "edgevoice", transport=TRANSPORT)
        text = tagged_text(next(rig.numbers), int(minutes * 60_000))
        published = rig.publisher.publish(voice.topic, voice.payload(text))
        begin = rig.monitor.first_sound(rig.monitor.position_after(published), 10)
        end = time.monotonic() + minutes * 60 - 1
        while begin is not None and time.monotonic() < end:
            time.sleep(min(60.0, max(0.1, end - time.monotonic())))
            until = rig.monitor.end_position
            silence = holes(rig.monitor.samples(begin, until), RATE)
            if silence is not None:
                count, seconds = count + silence.holes, seconds + silence.seconds
            begin = until
    return _steady_finding(minutes, count, seconds, heard=begin is not None)


def _steady_finding(minutes: float, count: int, seconds: float, *, heard: bool) -> Finding:
    return Finding(
        row=NAME,
        what=f"holes on a steady server in {minutes:g} minutes",
        goal="none in an hour",
        unit="holes",
        edgevoice={TRANSPORT: Figure(count, count, 1)} if heard else {},
        met=count == 0 if heard else None,
        note=f"{seconds * 1000:.0f} ms of silence" if count else "" if heard else "nothing was heard",
    )
