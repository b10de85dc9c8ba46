"""The row `cached`: the time to the first sound of a phrase that is in the cache."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.statistics import differences
from bench.rig.contestants import Target
from bench.rig.pulse import RATE
from bench.server.knobs import Knobs, parse_spec, tagged_text
from bench.server.speech import tone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.rig.rig import Rig
    from bench.session import BenchSession

NAME = "cached"
MOST_MS = 5.0
PHRASE_MS = 200
SOUND_TIMEOUT_S = 5.0
FLOOR = "open stream"


def measure(session: BenchSession) -> list[Finding]:
    columns: dict[str, list[float | None]] = {"edgevoice": [], FLOOR: []}
    times = session.count(10, 40)
    session.report_progress(f"cached: {times} times")
    try:
        with (
            session.rig() as rig,
            rig.start_edgevoice(cache={"enabled": True}) as own,
            _open_stream(rig) as write,
        ):
            requests = _measure(rig, Target("edgevoice", own.name), write, columns, times)
    except RuntimeError as error:
        return [_finding(columns, None, f"not available: {str(error).splitlines()[-1]}")]
    session.keep_samples(NAME, columns)
    return [_finding(columns, requests, "")]


def _measure(
    rig: Rig,
    voice: Target,
    write: Callable[[], float],
    columns: dict[str, list[float | None]],
    times: int,
) -> int:
    """Fill the columns; return the number of requests after the first."""
    number = next(rig.numbers)
    text = voice.payload(tagged_text(number, PHRASE_MS))
    for _ in range(2):
        _first_sound_ms(rig, lambda: rig.publisher.publish(voice.topic, text))
        time.sleep(1)
    before = _requests(rig, number)
    for _ in range(times):
        columns["edgevoice"].append(_first_sound_ms(rig, lambda: rig.publisher.publish(voice.topic, text)))
        columns[FLOOR].append(_first_sound_ms(rig, write))
    time.sleep(0.5)
    return _requests(rig, number) - before


def _requests(rig: Rig, number: int) -> int:
    return sum(record.number == number for record in rig.server.records())


def _first_sound_ms(rig: Rig, begin: Callable[[], float]) -> float | None:
    """Return the milliseconds from the time that `begin` returns to the first sound."""
    rig.monitor.wait_for_silence()
    began = begin()
    position = rig.monitor.first_sound(rig.monitor.position_after(began), SOUND_TIMEOUT_S)
    time.sleep(0.1)
    return None if position is None else (rig.monitor.time_of(position) - began) * 1000


@contextmanager
def _open_stream(rig: Rig) -> Iterator[Callable[[], float]]:
    """Yield a function that writes the tone into an open stream, and returns the time just before."""
    options = f"--rate={RATE} --channels=1 --format=s16le --raw --latency-msec=20"
    command = ["pacat", "--playback", *options.split()]
    environment = rig.pulse.environment(rig.monitor.sink)
    pcm = tone(
        parse_spec({"text": tagged_text(0, PHRASE_MS), "sample_rate": RATE}, Knobs()),
        0,
        RATE * PHRASE_MS // 1000,
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
