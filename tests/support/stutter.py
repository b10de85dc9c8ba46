"""Servers that stutter, an ear that counts the holes, and players to compare with; all of it in virtual time.

`python -m tests.support.stutter` prints the table of docs/decisions/jitter-buffer.md.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from statistics import fmean
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from edgevoice.announcement import Urgency
from edgevoice.audio.jitter_buffer import JitterStats
from edgevoice.playback.player import Player
from edgevoice.scheduler.actions import Play
from edgevoice.scheduler.queue import QueueItem
from tests.support import virtual_time
from tests.support.announcements import NoSynthesis, announcement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from edgevoice.plugin import Progress
    from edgevoice.synthesis.synthesizer import SpeechJob

RATE = 24000
#: Seconds that a sound card takes before they are heard.
PULLED_AHEAD = 0.3
TICK = 0.02
TRANSPORT = "websocket"


@dataclass(frozen=True, kw_only=True)
class Server:
    """Makes speech at `speed` times real time, in pieces of `piece` seconds after `setup`.

    Each piece comes later by a random time of mean `jitter`, which does not add up; a stall, which does,
    comes before any but the first with a chance of `stalls`, or before the pieces named in `stalls_at`.
    """

    speed: float
    jitter: float = 0.0
    stalls: float = 0.0
    stalls_at: tuple[int, ...] = ()
    stall: float = 0.4
    piece: float = 0.08
    setup: float = 0.1

    def pieces(self, seed: int, seconds: float) -> list[tuple[float, float]]:
        """When each comes, and its seconds."""
        chance = random.Random(seed * 1000003 + 17)
        due, came, at, pieces = self.setup, 0.0, 0.0, []
        while at < seconds - 1e-9:
            if pieces:
                due += self.piece / self.speed
                due += self.stall * (self.stalls > 0 and chance.random() < self.stalls)
                due += self.stall * (len(pieces) in self.stalls_at)
            came = max(came, due + (chance.expovariate(1 / self.jitter) if self.jitter else 0.0))
            pieces.append((came, min(self.piece, seconds - at)))
            at += self.piece
        return pieces


JITTER = Server(speed=3, jitter=0.06)
TIGHT = Server(speed=1.1, jitter=0.04)
STALLS = Server(speed=2, jitter=0.02, stalls=0.06)
STEADY = Server(speed=5)


@dataclass
class Ear:
    """The sound of an announcement: its delay after the first piece, and the seconds of each gap."""

    delay: float = 0.0
    holes: list[float] = field(default_factory=list)

    @property
    def silence(self) -> float:
        return sum(self.holes)


class Room:
    """Where one announcement after the other is heard, over one transport, in virtual time."""

    def __init__(self) -> None:
        self.jitter = JitterStats()

    async def hears(
        self,
        pieces: Sequence[tuple[float, float]],
        urgency: Urgency = Urgency.NORMAL,
        chime: float = 0.0,
        **keys: Any,
    ) -> Ear:
        """Hear one announcement whose audio comes in these pieces; `chime` sounds for this many seconds before."""
        synthesis = NoSynthesis()
        synthesis.jitter = self.jitter
        job = synthesis.new_job(announcement(urgency, **keys))
        ear, began = Ear(), _now()
        filling = asyncio.create_task(self._fill(job, pieces))
        await player(job, ear, chime).run()
        await filling
        ear.delay -= began + pieces[0][0]
        return ear

    async def _fill(self, speech: SpeechJob, pieces: Sequence[tuple[float, float]]) -> None:
        learns = speech.announcement.live is None
        async for pcm in self.jitter.observe(TRANSPORT, _answer(pieces), RATE, learns=learns):
            speech.transport = TRANSPORT
            await speech.clip.append(pcm)
        speech.clip.finish()


async def _answer(pieces: Iterable[tuple[float, float]]) -> AsyncIterator[bytes]:
    began = _now()
    for moment, seconds in pieces:
        await asyncio.sleep(began + moment - _now())
        yield bytes(2 * round(seconds * RATE))


def player(job: SpeechJob, ear: Ear, chime: float = 0.0) -> Player:
    """A player whose output is an ear."""
    one = QueueItem(job.announcement, is_internal=False, sequence=1, volume=100)
    play = Play(one, 0.0, None, "chime" if chime else None, 100, None)
    output = SimpleNamespace(play=partial(_listen, ear))
    chimes = SimpleNamespace(is_loaded=lambda *_: True, sound=lambda *_: bytes(2 * round(chime * RATE)))
    return Player(play, job, output, chimes, report=lambda _: None, fault=lambda _: None)  # type: ignore[arg-type]


async def _listen(ear: Ear, audio: AsyncIterator[bytes], _rate: int, progress: Progress) -> None:
    """Play as a sound card would: from the first sample on, in ticks, taking a little ahead."""
    heard, taken, over, changed = 0, 0, False, asyncio.Event()

    async def take() -> None:
        nonlocal taken, over
        async for pcm in audio:
            taken += len(pcm) // 2
            changed.set()
            while (taken - heard) / RATE > PULLED_AHEAD:
                await asyncio.sleep(TICK / 4)
        over = True
        changed.set()

    taking, dry_since = asyncio.create_task(take()), _now()
    while not over or heard < taken:
        if heard == taken:
            changed.clear()
            await changed.wait()
            continue
        if heard == 0:
            ear.delay = _now()
        elif dry_since is not None and _now() - dry_since > 1e-6:
            ear.holes.append(_now() - dry_since)
        frames = min(taken - heard, round(TICK * RATE))
        progress.written(heard + frames)
        await asyncio.sleep(frames / RATE)
        heard += frames
        progress.played(heard)
        dry_since = _now()
    await taking


def simple(pieces: Sequence[tuple[float, float]], delay: float = 0.0) -> Ear:
    """A player that begins so long after the first piece, and goes on after a hole with whatever comes."""
    ear, sounds, at = Ear(delay), pieces[0][0] + delay, 0.0
    for (_, seconds), (moment, _) in pairwise(pieces):
        at += seconds
        if moment > sounds + at + 1e-6:
            ear.holes.append(moment - sounds - at)
            sounds = moment - at
    return ear


@dataclass(frozen=True)
class Row:
    """Many announcements: what was heard of them, and what simple players would have made of the same."""

    ears: list[Ear]
    pieces: list[list[tuple[float, float]]]

    def delay(self, share: float | None = None) -> float:
        delays = sorted(ear.delay for ear in self.ears)
        return fmean(delays) if share is None else delays[int(share * (len(delays) - 1))]

    @property
    def silence(self) -> float:
        return fmean(ear.silence for ear in self.ears)

    @property
    def holes(self) -> float:
        return fmean(len(ear.holes) for ear in self.ears)

    def simple(self, delay: float = 0.0) -> Row:
        return Row([simple(pieces, delay) for pieces in self.pieces], self.pieces)


def heard(server: Server, seconds: float = 5.0, seeds: Iterable[int] = range(1, 51)) -> Row:
    """Return the result of an announcement for each seed, with a daemon that has no history."""

    async def main() -> list[Ear]:
        room = Room()
        return [await room.hears(pieces) for pieces in all_pieces]

    all_pieces = [server.pieces(seed, seconds) for seed in seeds]
    return Row(virtual_time.run(main()), all_pieces)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _table() -> None:
    for name, server in {"jitter": JITTER, "tight": TIGHT, "stalls": STALLS, "steady": STEADY}.items():
        row = heard(server)
        rows = [row.simple(), row.simple(0.1), row.simple(row.delay()), row]
        cells = [f"{1000 * one.silence:.1f} / {one.holes:.2f}" for one in rows]
        delays = [f"{1000 * row.delay(share):.0f}" for share in (None, 0.5, 0.95)]
        print(f"| {name} | {' | '.join(cells)} | {' / '.join(delays)} |")


if __name__ == "__main__":
    _table()
