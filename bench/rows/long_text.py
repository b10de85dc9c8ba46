"""The first sound of a text of ten minutes, counted from the server's first byte."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import figures
from bench.rig.contestants import BASE, REF_WS, Voice
from bench.rig.hearing import hear
from bench.server.knobs import Knobs

if TYPE_CHECKING:
    from bench.course import Course
    from bench.rig.ear import Ear
    from bench.rig.rig import Rig

NAME = "long"
MOST_MS = 10.0
SENTENCE = "The quick brown fox jumps over the lazy dog near the bank. "
#: The contract's most is 8,000.
CHARACTERS = 7900
SECONDS = 600
SPEED = 20.0
SOUNDS_WITHIN = 60.0


def measure(course: Course) -> list[Finding]:
    times = course.times(5, 15)
    columns: dict[str, list[float | None]] = {"edgevoice": []}
    course.tell(f"long: EdgeVoice, {times} times")
    with course.rig() as rig, rig.edgevoice() as own:
        voice = Voice("edgevoice", own.name)
        hear(rig, voice)
        _slow(rig)
        for _ in range(times):
            columns["edgevoice"].append(_first(rig.ear, _published(rig, voice)))
            rig.publisher.publish(f"{BASE}/{own.name}/stop", "all")
            time.sleep(0.5)
    if course.is_full:
        columns |= _others(course)
    course.keep(NAME, columns)
    return [_finding(columns)]


def _others(course: Course) -> dict[str, list[float | None]]:
    """The reference and the peers, once, all at the same time: nothing stops them."""
    course.tell("long: reference and peers")
    with course.rig() as rig, ExitStack() as stack:
        alive = []
        for kind in (REF_WS, *(kind for kind in course.peers if kind.uses_server)):
            ear = stack.enter_context(rig.another_ear(kind.name))
            if course.start(stack, rig, kind, sink=kind.name):
                alive.append((kind, ear))
                hear(rig, kind.voice, ear=ear)
        time.sleep(3)
        _slow(rig)
        begun = {kind.name: (ear, _published(rig, kind.voice)) for kind, ear in alive}
        return {name: [_first(*each)] for name, each in begun.items()}


def _slow(rig: Rig) -> None:
    rig.server.set(speed=SPEED, characters_per_second=CHARACTERS / SECONDS)


def _published(rig: Rig, voice: Voice) -> float:
    text = f"no{next(rig.numbers)}x " + SENTENCE * (CHARACTERS // len(SENTENCE))
    return rig.publisher.publish(voice.topic, voice.payload(text))


def _first(ear: Ear, published: float) -> float | None:
    """Milliseconds to the first sound, less those after which a stream's first byte exists."""
    left = published + SOUNDS_WITHIN - time.monotonic()
    position = ear.first_sound(ear.position(published), max(left, 0.1))
    if position is None:
        return None
    time.sleep(0.1)
    return (ear.moment(position) - published) * 1000 - Knobs().setup_ms


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
