"""How far a clip has to be ahead before it sounds, so that it does not run dry: learned for each transport."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from edgevoice.audio import BYTES_PER_FRAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

STREAMS = 16
"""Answers remembered of each transport; what came before them is forgotten."""
PIECES = 128
"""Pieces of an answer that it is known by."""
BEARABLE = 0.001
"""Seconds of silence on average that nobody is made to wait for."""
LEFT = 0.05
"""The share of the silence that a headstart may leave."""
COST = 0.095
"""Seconds by which it may delay the first sound, at the transport's pace."""
OFTEN = 0.25
"""While more than this share of all announcements would run dry all the same, it may cost more than that."""
LONGEST = 0.5
"""Seconds at most, both of a headstart and of waiting for one."""
REGAIN = 0.025
"""Seconds to be ahead after a hole, so that the next piece may be late without another."""
LASTS = 15
"""A hole follows the last one closely, if it comes before so many times as much was heard as was regained."""
CLOSE = 3
"""Holes in close order, from which on each regains twice as much: the server is too slow, not late."""


@dataclass(frozen=True, slots=True)
class Trace:
    """How one answer came: `seconds` of audio in `took` seconds.

    `lateness` holds for each piece how many seconds too late the worst of the later ones came, had the
    sound begun with that piece.
    """

    lateness: tuple[float, ...]
    seconds: float
    took: float


class ArrivalTrace:
    """When the pieces of one answer came, as far as they are needed to know it by."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._seconds: list[float] = []

    def note(self, moment: float, seconds: float) -> None:
        """A piece of so many seconds has come; the moment is monotonic."""
        if len(self._moments) < PIECES:
            self._moments.append(moment)
            self._seconds.append(seconds)

    @property
    def stream(self) -> Trace | None:
        """None while there is nothing to be late."""
        if len(self._moments) < 2:
            return None
        late, lateness = 0.0, [0.0]
        for place in range(len(self._moments) - 2, -1, -1):
            gap = self._moments[place + 1] - self._moments[place]
            late = max(0.0, late + gap - self._seconds[place])
            lateness.append(late)
        return Trace(tuple(lateness), sum(self._seconds[:-1]), self._moments[-1] - self._moments[0])


class JitterStats:
    """The headstart of each transport; none for one that is not known yet."""

    def __init__(self) -> None:
        self._streams: defaultdict[str, deque[Trace]] = defaultdict(lambda: deque(maxlen=STREAMS))
        self._seconds: dict[str, float] = {}

    def of(self, transport: str | None) -> float:
        """Seconds of audio to have before the first of it sounds."""
        return self._seconds.get(transport or "", 0.0)

    def learn(self, transport: str, stream: Trace) -> None:
        """An answer has come, or as much of it as was wanted."""
        self._streams[transport].append(stream)
        self._seconds[transport] = target_buffer_s(self._streams[transport])

    async def observed(
        self, transport: str, audio: AsyncIterator[bytes], rate: int, *, learns: bool
    ) -> AsyncIterator[bytes]:
        """Yield what a transport yields, s16le mono at `rate` Hz, and learn from when it came.

        That it was not taken at once is not the transport's fault, and left out.
        """
        arrivals, now, kept = ArrivalTrace(), asyncio.get_running_loop().time, 0.0
        try:
            async for pcm in audio:
                came = now()
                arrivals.note(came - kept, len(pcm) / BYTES_PER_FRAME / rate)
                yield pcm
                kept += now() - came
        finally:
            if learns and (stream := arrivals.stream) is not None:
                self.learn(transport, stream)
            if (close := getattr(audio, "aclose", None)) is not None:
                await close()


def target_buffer_s(streams: Sequence[Trace]) -> float:
    """The seconds with which these streams would have left `LEFT` of their silence, if that may be waited for.

    A sound that begins with a piece that has so many seconds before it is silent for what is beyond them of
    that piece's lateness: what any start of these streams would have given is known without trying it.
    """
    habits = sorted(fmean(stream.lateness) for stream in streams)
    if not habits or habits[max(0, len(habits) - 2)] < BEARABLE:  # a single late one is no habit
        return 0.0
    lateness = sorted((late for stream in streams for late in stream.lateness), reverse=True)
    pace = sum(stream.seconds for stream in streams) / max(1e-3, sum(stream.took for stream in streams))
    often = lateness[int(OFTEN * len(lateness))]
    return min(LONGEST, max(often, min(_leaving(LEFT, lateness), COST * pace)))


def moment_to_sound(ahead: float, newest: float, arrived: float, wanted: float) -> float | None:
    """The moment from which a sound may go on that is to be `wanted` seconds ahead; None: not without more.

    So many seconds are `ahead`, the `newest` of them in a piece that arrived at a moment. It is waited for in
    audio, not in time: while nothing comes is the worst moment to begin. Only what one more piece would
    exceed is made up for by the time that the newest has been there.
    """
    if ahead < wanted:
        return None
    return arrived + max(0.0, wanted - (ahead - newest))


def rebuffer_s(holes: int) -> float:
    """The seconds to be ahead after the last of so many holes in close order."""
    return min(LONGEST, REGAIN * 2.0 ** max(0, holes - CLOSE))


def is_repeat_underrun(holes: int, sounded: float) -> bool:
    """Whether the next hole, after so many seconds of sound, is one more in close order."""
    return sounded < LASTS * rebuffer_s(holes)


def _leaving(share: float, lateness: Sequence[float]) -> float:
    """The seconds beyond which there is this share of all the lateness, which falls."""
    left = share * sum(lateness)
    beyond = 0.0
    for count, late in enumerate(lateness):
        if beyond - count * late > left:
            return (beyond - left) / count
        beyond += late
    return max(0.0, beyond - left) / len(lateness)
