"""The row `flood`: 1,000 short messages at once; the share of time with sound, memory, and outcomes."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from bench.figures.findings import Finding
from bench.figures.sounds import seconds_of_sound
from bench.figures.statistics import Figure, figures
from bench.rig import processes
from bench.rig.contestants import BASE, REF_WS, Target
from bench.rig.first_sound import measure_message
from bench.rig.publisher import Publisher
from bench.rig.pulse import RATE
from bench.server.knobs import tagged_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.rig.rig import Rig, RunningContestant
    from bench.rig.sink_monitor import SinkMonitor
    from bench.session import BenchSession

NAME = "flood"
MESSAGES, MESSAGE_MS, SETUP_MS = 1000, 200, 20.0
WATCHED_S = 15.0
LEAST_SHARE, MOST_MB = 98.0, 2.0
#: This many peers are flooded at the same time.
AT_ONCE = 5
OUTCOMES = {"finished", "expired", "replaced", "suppressed", "cancelled", "failed"}
TOLD_WITHIN_S = 30.0
#: After this pause without a message, all outcomes were published.
QUIET_S = 1.0

Contestant = tuple[Target, "RunningContestant", "SinkMonitor"]


def measure(session: BenchSession) -> list[Finding]:
    shares: dict[str, list[float | None]] = {}
    grown: dict[str, list[float | None]] = {}
    with (
        session.rig() as rig,
        rig.start_edgevoice() as own,
        Publisher(rig.broker.port, "bench-outcomes") as told,
    ):
        session.report_progress(f"flood: EdgeVoice, {MESSAGES} messages")
        voice = Target("edgevoice", own.name)
        told.subscribe(f"{BASE}/{own.name}/event")
        measure_message(rig, voice)
        before = {event["id"] for event in _events(told)}
        _flood(rig, [(voice, own, rig.monitor)], shares, grown)
        rig.publisher.publish(f"{BASE}/{own.name}/stop", "all")
        once, more = _outcomes(told, before)
    kinds = (REF_WS, *session.peers) if session.is_full else ()
    for first in range(0, len(kinds), AT_ONCE):
        some = kinds[first : first + AT_ONCE]
        session.report_progress(f"flood: {', '.join(kind.name for kind in some)}")
        with session.rig() as rig, ExitStack() as stack:
            alive: list[Contestant] = []
            for kind in some:
                monitor = stack.enter_context(rig.monitor_of(kind.name))
                if started := session.start(stack, rig, kind, sink=kind.name):
                    alive.append((kind.target, started, monitor))
                    measure_message(rig, kind.target, monitor=monitor)
            _flood(rig, alive, shares, grown)
    session.keep_samples("flood: share of the time", shares)
    session.keep_samples("flood: memory", grown)
    return _findings(figures(shares), figures(grown), once, more)


def _flood(
    rig: Rig,
    contestants: Sequence[Contestant],
    shares: dict[str, list[float | None]],
    grown: dict[str, list[float | None]],
) -> None:
    rig.server.set(setup_ms=SETUP_MS)
    before = {voice.name: processes.pss_mb(started.pid) for voice, started, _ in contestants}
    begins = {voice.name: monitor.end_position for voice, _, monitor in contestants}
    for voice, _, _ in contestants:
        for _ in range(MESSAGES):
            text = tagged_text(next(rig.numbers), MESSAGE_MS, text="Hello.") if voice.uses_server else "Go."
            rig.publisher.publish(voice.topic, voice.payload(text))
    most = dict(before)
    end = time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        for voice, started, _ in contestants:
            most[voice.name] = max(most[voice.name], processes.pss_mb(started.pid))
        time.sleep(0.5)
    for voice, _, monitor in contestants:
        samples = monitor.samples(begins[voice.name])
        shares[voice.name] = [100 * seconds_of_sound(samples, RATE) / (len(samples) / RATE)]
        grown[voice.name] = [most[voice.name] - before[voice.name]]


def _events(told: Publisher) -> list[dict[str, Any]]:
    """Return the events until none arrives for a while, or the time is over."""
    events: list[dict[str, Any]] = []
    deadline = time.monotonic() + TOLD_WITHIN_S
    while time.monotonic() < deadline and (received := told.received(QUIET_S)):
        events += [msgspec.json.decode(payload) for _, payload in received]
    return events


def _outcomes(told: Publisher, before: set[str]) -> tuple[int, int]:
    """Return the result of `outcomes_of` for all messages of the flood."""
    events: list[dict[str, Any]] = []
    deadline = time.monotonic() + TOLD_WITHIN_S
    while sum(outcomes_of(events, before)) < MESSAGES and time.monotonic() < deadline:
        events += _events(told)
    return outcomes_of(events, before)


def outcomes_of(events: Iterable[dict[str, Any]], before: set[str]) -> tuple[int, int]:
    """Return how many announcements ended once, and how many more than once; those in `before` do not count."""
    ended = Counter(event["id"] for event in events if event["event_type"] in OUTCOMES)
    counts = [count for name, count in ended.items() if name not in before]
    once = counts.count(1)
    return once, len(counts) - once


def _findings(shares: dict[str, Figure], grown: dict[str, Figure], once: int, more: int) -> list[Finding]:
    drawn = {name: 100 - figure.median for name, figure in shares.items()}
    share, memory = shares.pop("edgevoice"), grown.pop("edgevoice")
    ended = {"one": Figure(once, once, 1)} | ({"more than one": Figure(more, more, 1)} if more else {})
    return [
        Finding(
            row=NAME,
            what=f"{MESSAGES} short messages at once: sounding",
            goal="98 % of the time",
            unit=f"% of {WATCHED_S:.0f} s",
            edgevoice={"sounding": share},
            references={name: shares.pop(name) for name in (REF_WS.name,) if name in shares},
            peers={name: figure for name, figure in shares.items() if name != "edgevoice"},
            met=share.median >= LEAST_SHARE,
            drawn=drawn,
        ),
        Finding(
            row=NAME,
            what=f"{MESSAGES} short messages at once: memory",
            goal="2 MB more at most",
            unit="MB (PSS) more than before",
            edgevoice={"growth": memory},
            references={name: grown.pop(name) for name in (REF_WS.name,) if name in grown},
            peers=grown,
            met=memory.median <= MOST_MB,
        ),
        Finding(
            row=NAME,
            what=f"{MESSAGES} short messages at once: outcomes",
            goal="one for each",
            unit="outcomes, the rest of them stopped after a while",
            edgevoice=ended,
            met=once == MESSAGES and not more,
        ),
    ]
