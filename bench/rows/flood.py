"""A thousand short messages at once: how much of the time they sound, what they take, what becomes of each."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from bench.figures.findings import Finding
from bench.figures.sounds import sounding
from bench.figures.statistics import Figure, figures
from bench.rig import processes
from bench.rig.contestants import BASE, REF_WS, Voice
from bench.rig.hearing import hear
from bench.rig.publisher import Publisher
from bench.rig.pulse import RATE
from bench.server.knobs import tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.course import Course
    from bench.rig.ear import Ear
    from bench.rig.rig import Rig, Started

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

Contestant = tuple[Voice, "Started", "Ear"]


def measure(course: Course) -> list[Finding]:
    shares: dict[str, list[float | None]] = {}
    grown: dict[str, list[float | None]] = {}
    with course.rig() as rig, rig.edgevoice() as own, Publisher(rig.broker.port, "bench-outcomes") as told:
        course.tell(f"flood: EdgeVoice, {MESSAGES} messages")
        voice = Voice("edgevoice", own.name)
        told.subscribe(f"{BASE}/{own.name}/event")
        hear(rig, voice)
        before = {event["id"] for event in _events(told)}
        _flood(rig, [(voice, own, rig.ear)], shares, grown)
        rig.publisher.publish(f"{BASE}/{own.name}/stop", "all")
        once, more = _outcomes(told, before)
    kinds = (REF_WS, *course.peers) if course.is_full else ()
    for first in range(0, len(kinds), AT_ONCE):
        some = kinds[first : first + AT_ONCE]
        course.tell(f"flood: {', '.join(kind.name for kind in some)}")
        with course.rig() as rig, ExitStack() as stack:
            alive: list[Contestant] = []
            for kind in some:
                ear = stack.enter_context(rig.another_ear(kind.name))
                if started := course.start(stack, rig, kind, sink=kind.name):
                    alive.append((kind.voice, started, ear))
                    hear(rig, kind.voice, ear=ear)
            _flood(rig, alive, shares, grown)
    course.keep("flood: share of the time", shares)
    course.keep("flood: memory", grown)
    return _findings(figures(shares), figures(grown), once, more)


def _flood(
    rig: Rig,
    contestants: Sequence[Contestant],
    shares: dict[str, list[float | None]],
    grown: dict[str, list[float | None]],
) -> None:
    rig.server.set(setup_ms=SETUP_MS)
    before = {voice.name: processes.memory(started.pid) for voice, started, _ in contestants}
    begins = {voice.name: ear.now for voice, _, ear in contestants}
    for voice, _, _ in contestants:
        for _ in range(MESSAGES):
            text = tagged(next(rig.numbers), MESSAGE_MS, text="Hello.") if voice.uses_server else "Go."
            rig.publisher.publish(voice.topic, voice.payload(text))
    most = dict(before)
    end = time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        for voice, started, _ in contestants:
            most[voice.name] = max(most[voice.name], processes.memory(started.pid))
        time.sleep(0.5)
    for voice, _, ear in contestants:
        samples = ear.samples(begins[voice.name])
        shares[voice.name] = [100 * sounding(samples, RATE) / (len(samples) / RATE)]
        grown[voice.name] = [most[voice.name] - before[voice.name]]


def _events(told: Publisher) -> list[dict[str, Any]]:
    """Collect the messages until no more come for a moment, or for too long."""
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
    """How many announcements ended once, and how many more than once; of none that was there `before`."""
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
