"""An urgent message cuts in: when the old sound stops, and when its own begins."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.sounds import cut_in
from bench.figures.statistics import Figure, figures, lost, reached
from bench.rig.contestants import BASE, Voice
from bench.rig.ear import BLOCK_MS
from bench.rig.hearing import hear
from bench.rig.pulse import RATE
from bench.server.knobs import tagged

if TYPE_CHECKING:
    from bench.course import Course
    from bench.rig.rig import Rig

NAME = "cut-in"
OLD_HZ, NEW_HZ = 400, 800
OLD_MS, NEW_MS, WAITING_MS = 8000, 600, 200
MOST_MEDIAN_MS, MOST_P95_MS, MOST_RATIO = 10.0, 20.0, 1.2
WAITING = 1000
HEARD_WITHIN_S = 12.0
OWN = {"alone", f"behind {WAITING}", "ordinary"}
#: The one that an urgent message takes first.
TRANSPORT = "websocket"


@dataclass
class Cuts:
    """In milliseconds from the publication of the urgent message; None where a round was lost."""

    #: Fewer where there was nothing to stop.
    stops: list[float | None] = field(default_factory=list)
    #: Until it is heard, less the server's own time.
    added: list[float | None] = field(default_factory=list)

    def lose(self) -> None:
        self.stops.append(None)
        self.added.append(None)


def measure(course: Course) -> list[Finding]:
    times = course.times(4, 10)
    idle_queue, full_queue, ordinary = Cuts(), Cuts(), Cuts()
    with course.rig() as rig, rig.edgevoice():
        voice = Voice("edgevoice", "edgevoice")
        course.tell(f"cut-in: EdgeVoice, {times} times")
        hear(rig, Voice("edgevoice", "edgevoice", transport=TRANSPORT))  # the first of all opens the card
        for _ in range(times):
            heard = hear(rig, Voice("edgevoice", "edgevoice", transport=TRANSPORT))
            ordinary.added.append(heard.added_ms if heard else None)
            _alone(rig, voice, idle_queue)
            rig.publisher.publish(f"{BASE}/edgevoice/stop", "all")
        course.tell(f"cut-in: behind {WAITING} that wait")
        _behind_many(rig, voice, full_queue, times)
    peers = course.peers if course.is_full else ()
    others = {kind.name: _peer(course, kind.name, times // 2) for kind in peers if kind.cuts_in}
    return _findings(course, idle_queue, full_queue, ordinary, others)


def _peer(course: Course, name: str, times: int) -> Cuts:
    cuts = Cuts()
    kind = next(kind for kind in course.peers if kind.name == name)
    if not kind.uses_server:  # its speech has no tones to tell apart
        return cuts
    with course.rig() as rig, ExitStack() as stack:
        if course.start(stack, rig, kind) is not None:
            course.tell(f"cut-in: {name}")
            hear(rig, kind.voice)
            for _ in range(times):
                time.sleep(3)
                _alone(rig, kind.voice, cuts)
    return cuts


def _alone(rig: Rig, voice: Voice, cuts: Cuts) -> None:
    """Cut into one long message."""
    rig.ear.wait_for_silence(0.3)
    text = tagged(next(rig.numbers), OLD_MS, hz=OLD_HZ)
    published = rig.publisher.publish(voice.topic, voice.payload(text))
    if rig.ear.first_sound(rig.ear.position(published), HEARD_WITHIN_S) is None:
        cuts.lose()
        return
    time.sleep(1.5 + random.random() * 0.1)
    _cut(rig, voice, cuts)


def _cut(rig: Rig, voice: Voice, cuts: Cuts) -> None:
    number = next(rig.numbers)
    published = rig.publisher.publish(voice.urgent_topic, tagged(number, NEW_MS, hz=NEW_HZ))
    begin = rig.ear.position(published)
    deadline = time.monotonic() + HEARD_WITHIN_S
    found = None
    while found is None and time.monotonic() < deadline:
        time.sleep(0.2)
        found = cut_in(rig.ear.samples(begin), OLD_HZ, NEW_HZ, RATE)
    record = rig.server.record(number)
    if found is None or record is None:
        cuts.lose()
        return
    total = rig.ear.moment(begin + found.new_begins) - published
    cuts.added.append((total - record.own) * 1000)
    if found.old_ends is not None:  # else there was nothing to stop
        cuts.stops.append((rig.ear.moment(begin + found.old_ends) - published) * 1000)
    time.sleep(NEW_MS / 1000)


def _behind_many(rig: Rig, voice: Voice, cuts: Cuts, times: int) -> None:
    for _ in range(WAITING + 10 * times):
        rig.publisher.publish(voice.topic, tagged(next(rig.numbers), WAITING_MS, hz=OLD_HZ))
    time.sleep(3)
    for _ in range(times):
        _cut(rig, voice, cuts)
        time.sleep(0.5 + random.random() * 0.2)


def _findings(
    course: Course, idle_queue: Cuts, full_queue: Cuts, ordinary: Cuts, others: dict[str, Cuts]
) -> list[Finding]:
    variants = {"alone": idle_queue, f"behind {WAITING}": full_queue}
    stops = {name: cuts.stops for name, cuts in {**variants, **others}.items()}
    added = {name: cuts.added for name, cuts in {**variants, "ordinary": ordinary, **others}.items()}
    course.keep("cut-in: old sound stops", stops)
    course.keep("cut-in: its first sound", added)
    stopping, sounding = figures(stops), figures(added)
    usual = sounding.pop("ordinary", None)
    stops_own, sounds_own = ({name: kept[name] for name in variants} for kept in (stops, added))
    own_stop = {name: stopping.pop(name) for name in variants if name in stopping}
    own_sound = {name: sounding.pop(name) for name in variants if name in sounding}
    return [
        Finding(
            row=NAME,
            what="an urgent one cuts in: the old sound stops",
            goal="10 ms median, 20 ms p95",
            unit="ms",
            edgevoice=own_stop,
            peers=stopping,
            met=reached(stops_own, lambda f: f.median <= MOST_MEDIAN_MS and f.p95 <= MOST_P95_MS),
            note=noted(stops_own),
            drawn=drawn(stops),
            resolution=BLOCK_MS,
        ),
        Finding(
            row=NAME,
            what="an urgent one cuts in: its first sound",
            goal="1.2 times its ordinary added latency, also behind 1,000",
            unit="times EdgeVoice's ordinary added latency",
            edgevoice=over(own_sound, usual),
            peers=over(sounding, usual),
            met=reached(sounds_own, lambda f: f.median <= MOST_RATIO * usual.median) if usual else None,
            note=noted({**sounds_own, "ordinary": ordinary.added}, f"ordinary over {TRANSPORT}, same run"),
            drawn=drawn(added),
            resolution=BLOCK_MS,
        ),
    ]


def over(found: dict[str, Figure], usual: Figure | None) -> dict[str, Figure]:
    """How many times the usual each figure is; nothing if that is not known."""
    if usual is None:
        return {}
    return {
        name: Figure(round(figure.median / usual.median, 3), round(figure.p95 / usual.p95, 3), figure.n)
        for name, figure in found.items()
    }


def noted(columns: dict[str, list[float | None]], note: str = "") -> str:
    """A note, and which rounds were lost."""
    missing = lost(columns)
    return "; ".join(part for part in (note, f"lost: {missing}" if missing else "") if part)


def drawn(columns: dict[str, list[float | None]]) -> dict[str, float]:
    """The medians, for the picture; EdgeVoice's where nothing else waits."""
    medians = {name: figure.median for name, figure in figures(columns).items()}
    own = {"edgevoice": medians["alone"]} if "alone" in medians else {}
    return own | {name: value for name, value in medians.items() if name not in OWN}
