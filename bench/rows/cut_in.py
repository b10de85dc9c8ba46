"""The row `cut-in`: an urgent message interrupts; when the old sound stops, and when its own begins."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.figures.findings import Finding
from bench.figures.sounds import find_interruption
from bench.figures.statistics import Figure, describe_lost, figures, is_reached
from bench.rig.contestants import BASE, Target
from bench.rig.first_sound import measure_message
from bench.rig.pulse import RATE
from bench.rig.sink_monitor import BLOCK_MS
from bench.server.knobs import tagged_text

if TYPE_CHECKING:
    from bench.rig.rig import Rig
    from bench.session import BenchSession

NAME = "cut-in"
OLD_HZ, NEW_HZ = 400, 800
OLD_MS, NEW_MS, WAITING_MS = 8000, 600, 200
MOST_MEDIAN_MS, MOST_P95_MS, MOST_RATIO = 10.0, 20.0, 1.2
WAITING = 1000
SOUND_TIMEOUT_S = 12.0
OWN = {"alone", f"behind {WAITING}", "ordinary"}
#: The transport that an urgent message takes first.
TRANSPORT = "websocket"


@dataclass
class Interruptions:
    """Milliseconds from the publication of the urgent message; None for a lost round."""

    #: Fewer where there was nothing to stop.
    stops: list[float | None] = field(default_factory=list)
    #: Until it is heard, less the server's own time.
    added: list[float | None] = field(default_factory=list)

    def add_lost(self) -> None:
        self.stops.append(None)
        self.added.append(None)


def measure(session: BenchSession) -> list[Finding]:
    times = session.count(4, 10)
    idle_queue, full_queue, ordinary = Interruptions(), Interruptions(), Interruptions()
    with session.rig() as rig, rig.start_edgevoice():
        voice = Target("edgevoice", "edgevoice")
        session.report_progress(f"cut-in: EdgeVoice, {times} times")
        measure_message(
            rig, Target("edgevoice", "edgevoice", transport=TRANSPORT)
        )  # the first of all opens the card
        for _ in range(times):
            heard = measure_message(rig, Target("edgevoice", "edgevoice", transport=TRANSPORT))
            ordinary.added.append(heard.added_ms if heard else None)
            _interrupt_one(rig, voice, idle_queue)
            rig.publisher.publish(f"{BASE}/edgevoice/stop", "all")
        session.report_progress(f"cut-in: behind {WAITING} that wait")
        _behind_many(rig, voice, full_queue, times)
    peers = session.peers if session.is_full else ()
    others = {kind.name: _peer(session, kind.name, times // 2) for kind in peers if kind.can_interrupt}
    return _findings(session, idle_queue, full_queue, ordinary, others)


def _peer(session: BenchSession, name: str, times: int) -> Interruptions:
    cuts = Interruptions()
    kind = next(kind for kind in session.peers if kind.name == name)
    if not kind.uses_server:  # its speech has no tones to tell apart
        return cuts
    with session.rig() as rig, ExitStack() as stack:
        if session.start(stack, rig, kind) is not None:
            session.report_progress(f"cut-in: {name}")
            measure_message(rig, kind.target)
            for _ in range(times):
                time.sleep(3)
                _interrupt_one(rig, kind.target, cuts)
    return cuts


def _interrupt_one(rig: Rig, voice: Target, cuts: Interruptions) -> None:
    """Interrupt one long message."""
    rig.monitor.wait_for_silence(0.3)
    text = tagged_text(next(rig.numbers), OLD_MS, hz=OLD_HZ)
    published = rig.publisher.publish(voice.topic, voice.payload(text))
    if rig.monitor.first_sound(rig.monitor.position_after(published), SOUND_TIMEOUT_S) is None:
        cuts.add_lost()
        return
    time.sleep(1.5 + random.random() * 0.1)
    _interrupt(rig, voice, cuts)


def _interrupt(rig: Rig, voice: Target, cuts: Interruptions) -> None:
    number = next(rig.numbers)
    published = rig.publisher.publish(voice.urgent_topic, tagged_text(number, NEW_MS, hz=NEW_HZ))
    begin = rig.monitor.position_after(published)
    deadline = time.monotonic() + SOUND_TIMEOUT_S
    found = None
    while found is None and time.monotonic() < deadline:
        time.sleep(0.2)
        found = find_interruption(rig.monitor.samples(begin), OLD_HZ, NEW_HZ, RATE)
    record = rig.server.record(number)
    if found is None or record is None:
        cuts.add_lost()
        return
    total = rig.monitor.time_of(begin + found.new_begins) - published
    cuts.added.append((total - record.server_s) * 1000)
    if found.old_ends is not None:  # else there was nothing to stop
        cuts.stops.append((rig.monitor.time_of(begin + found.old_ends) - published) * 1000)
    time.sleep(NEW_MS / 1000)


def _behind_many(rig: Rig, voice: Target, cuts: Interruptions, times: int) -> None:
    for _ in range(WAITING + 10 * times):
        rig.publisher.publish(voice.topic, tagged_text(next(rig.numbers), WAITING_MS, hz=OLD_HZ))
    time.sleep(3)
    for _ in range(times):
        _interrupt(rig, voice, cuts)
        time.sleep(0.5 + random.random() * 0.2)


def _findings(
    session: BenchSession,
    idle_queue: Interruptions,
    full_queue: Interruptions,
    ordinary: Interruptions,
    others: dict[str, Interruptions],
) -> list[Finding]:
    variants = {"alone": idle_queue, f"behind {WAITING}": full_queue}
    stops = {name: cuts.stops for name, cuts in {**variants, **others}.items()}
    added = {name: cuts.added for name, cuts in {**variants, "ordinary": ordinary, **others}.items()}
    session.keep_samples("cut-in: old sound stops", stops)
    session.keep_samples("cut-in: its first sound", added)
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
            met=is_reached(stops_own, lambda f: f.median <= MOST_MEDIAN_MS and f.p95 <= MOST_P95_MS),
            note=note_with_lost(stops_own),
            drawn=picture_values(stops),
            resolution=BLOCK_MS,
        ),
        Finding(
            row=NAME,
            what="an urgent one cuts in: its first sound",
            goal="1.2 times its ordinary added latency, also behind 1,000",
            unit="times EdgeVoice's ordinary added latency",
            edgevoice=relative_to(own_sound, usual),
            peers=relative_to(sounding, usual),
            met=is_reached(sounds_own, lambda f: f.median <= MOST_RATIO * usual.median) if usual else None,
            note=note_with_lost(
                {**sounds_own, "ordinary": ordinary.added}, f"ordinary over {TRANSPORT}, same run"
            ),
            drawn=picture_values(added),
            resolution=BLOCK_MS,
        ),
    ]


def relative_to(found: dict[str, Figure], usual: Figure | None) -> dict[str, Figure]:
    """Return each figure divided by the usual figure; nothing if that is unknown."""
    if usual is None:
        return {}
    return {
        name: Figure(round(figure.median / usual.median, 3), round(figure.p95 / usual.p95, 3), figure.n)
        for name, figure in found.items()
    }


def note_with_lost(columns: dict[str, list[float | None]], note: str = "") -> str:
    """Return a note with the number of lost rounds."""
    missing = describe_lost(columns)
    return "; ".join(part for part in (note, f"lost: {missing}" if missing else "") if part)


def picture_values(columns: dict[str, list[float | None]]) -> dict[str, float]:
    """Return the medians for the picture; EdgeVoice's with an empty queue."""
    medians = {name: figure.median for name, figure in figures(columns).items()}
    own = {"edgevoice": medians["alone"]} if "alone" in medians else {}
    return own | {name: value for name, value in medians.items() if name not in OWN}
