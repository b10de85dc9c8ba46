"""A phrase that was said before: from the message to its first sample, without a request."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import differences
from bench.rig.contestants import Voice
from bench.rig.pulse import RATE
from bench.server.knobs import Knobs, order, tagged
from bench.server.speech import tone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.course import Course
    from bench.rig.rig import Rig

NAME = "cached"
MOST_MS = 5.0
PHRASE_MS = 200
SOUNDS_WITHIN = 5.0
FLOOR = "open stream"


def measure(course: Course) -> list[Finding]:
    columns: dict[str, list[float | None]] = {"edgevoice": [], FLOOR: []}
    times = course.times(10, 40)
    course.tell(f"cached: {times} times")
    try:
        with course.rig() as rig, rig.edgevoice(cache={"enabled": True}) as own, _floor(rig) as write:
            requests = _measured(rig, Voice("edgevoice", own.name), write, columns, times)
    except RuntimeError as error:
        return [_finding(columns, None, f"not available: {str(error).splitlines()[-1]}")]
    course.keep(NAME, columns)
    return [_finding(columns, requests, "")]


def _measured(
    rig: Rig,
    voice: Voice,
    write: Callable[[], float],
    columns: dict[str, list[float | None]],
    times: int,
) -> int:
    """Requests that were made after the first."""
    number = next(rig.numbers)
    text = voice.payload(tagged(number, PHRASE_MS))
    for _ in range(2):
        _sounds(rig, lambda: rig.publisher.publish(voice.topic, text))
        time.sleep(1)
    before = _requests(rig, number)
    for _ in range(times):
        columns["edgevoice"].append(_sounds(rig, lambda: rig.publisher.publish(voice.topic, text)))
        columns[FLOOR].append(_sounds(rig, write))
    time.sleep(0.5)
    return _requests(rig, number) - before


def _requests(rig: Rig, number: int) -> int:
    return sum(record.number == number for record in rig.server.records())


def _sounds(rig: Rig, begin: Callable[[], float]) -> float | None:
    """Milliseconds from a beginning to its first sample."""
    rig.ear.wait_for_silence()
    began = begin()
    position = rig.ear.first_sound(rig.ear.position(began), SOUNDS_WITHIN)
    time.sleep(0.1)
    return None if position is None else (rig.ear.moment(position) - began) * 1000


@contextmanager
def _floor(rig: Rig) -> Iterator[Callable[[], float]]:
    """Write the same tone into a stream that is open; the moment just before."""
    options = f"--rate={RATE} --channels=1 --format=s16le --raw --latency-msec=20"
    command = ["pacat", "--playback", *options.split()]
    environment = rig.pulse.environment(rig.ear.sink)
    pcm = tone(
        order({"text": tagged(0, PHRASE_MS), "sample_rate": RATE}, Knobs()), 0, RATE * PHRASE_MS // 1000
    )
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, bufsize=0) as player:
        pipe = player.stdin

        def write() -> float:
            moment = time.monotonic()
            if pipe is not None:
                pipe.write(pcm)
            return moment

        try:
            time.sleep(0.5)
            yield write
        finally:
            player.terminate()


def _finding(columns: dict[str, list[float | None]], requests: int | None, note: str) -> Finding:
    if requests:
        note = f"not available: {requests} requests were made for a phrase said before"
    over = differences(columns, columns[FLOOR]) if requests == 0 else {}
    own = over.get("edgevoice")
    return Finding(
        row=NAME,
        what="a cached phrase",
        goal="at most 5 ms more than writing into an open stream; no request",
        unit="ms over an open stream, paired",
        edgevoice={"0 requests": own} if own else {},
        met=own.median <= MOST_MS and own.p95 <= MOST_MS if own else None,
        note=note,
    )
