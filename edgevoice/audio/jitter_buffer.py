"""Jitter buffer: how far a clip must be ahead before it sounds, so that it does not run dry.

The textbook's adaptive playout delay: a percentile of the lateness of the last responses over each transport, and
a buffer that is filled again after an underrun. See docs/decisions/jitter-buffer.md.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from itertools import pairwise
from math import ceil
from statistics import fmean
from typing import TYPE_CHECKING

from edgevoice.audio import BYTES_PER_FRAME

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection

#: Responses of a transport that are remembered.
TRACES = 16
#: Share of all pieces that should be in time, and share that must be, whatever the delay.
IN_TIME_SHARE, MIN_IN_TIME_SHARE = 0.99, 0.8
#: Seconds by which the buffer may delay the sound, at the pace at which the audio arrives.
MAX_START_DELAY_S = 0.1
#: Seconds that a buffer holds at most, and that it is waited for at most.
MAX_BUFFER_S = 0.5
#: Seconds to buffer after an underrun, so that the next late piece is no second one.
REBUFFER_S = 0.025


class ArrivalTrace:
    """When the pieces of one response arrived: its first 128, which are enough to know it by."""

    def __init__(self) -> None:
        self._pieces: list[tuple[float, float]] = []

    def add(self, moment: float, seconds: float) -> None:
        """Add a piece with `seconds` of audio, which arrived at a monotonic moment."""
        if len(self._pieces) < 128:
            self._pieces.append((moment, seconds))

    @property
    def lateness_s(self) -> list[float]:
        """For each piece, by how much the worst later one would be late, had the sound begun with it."""
        late_s, lateness_s = 0.0, [0.0]
        for (moment, seconds), (next_moment, _) in reversed(list(pairwise(self._pieces))):
            late_s = max(0.0, late_s + next_moment - moment - seconds)
            lateness_s.append(late_s)
        return lateness_s

    @property
    def speed(self) -> float:
        """Seconds of audio that arrived in a second."""
        took_s = self._pieces[-1][0] - self._pieces[0][0]
        return sum(seconds for _, seconds in self._pieces[:-1]) / max(1e-3, took_s)


class JitterStats:
    """The lateness of each transport's last responses; a transport without any needs no buffer."""

    def __init__(self) -> None:
        self._traces: defaultdict[str, deque[ArrivalTrace]] = defaultdict(lambda: deque(maxlen=TRACES))
        #: Computed with each response, and not when a sound is about to begin.
        self._targets_s: dict[str, float] = {}

    def target_s(self, transport: str | None) -> float:
        """Return the seconds of audio to have before the first of it sounds."""
        return self._targets_s.get(transport or "", 0.0)

    def learn(self, transport: str, trace: ArrivalTrace) -> None:
        traces = self._traces[transport]
        traces.append(trace)
        self._targets_s[transport] = target_buffer_s(traces)

    async def observe(
        self, transport: str, audio: AsyncIterator[bytes], rate: int, *, learns: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield what a transport yields, s16le mono at `rate` Hz, and learn from when it arrived.

        The time for which the consumer did not ask for more is no lateness of the transport.
        """
        trace, now, paused_s = ArrivalTrace(), asyncio.get_running_loop().time, 0.0
        try:
            async for pcm in audio:
                arrived = now()
                trace.add(arrived - paused_s, len(pcm) / BYTES_PER_FRAME / rate)
                yield pcm
                paused_s += now() - arrived
        finally:
            if learns and len(trace.lateness_s) > 1:
                self.learn(transport, trace)
            if (close := getattr(audio, "aclose", None)) is not None:
                await close()


def target_buffer_s(traces: Collection[ArrivalTrace]) -> float:
    """Return the buffer with which nearly all pieces of these responses would have been in time.

    It delays the sound by more than `MAX_START_DELAY_S` only where most would be late all the same. The worst of
    several responses counts as an outlier.
    """
    usual = sorted((trace.lateness_s for trace in traces), key=fmean)[: max(1, len(traces) - 1)]
    lateness_s = sorted(late_s for trace in usual for late_s in trace)
    if not lateness_s:
        return 0.0
    nearly_all, most = (
        lateness_s[ceil(share * len(lateness_s)) - 1] for share in (IN_TIME_SHARE, MIN_IN_TIME_SHARE)
    )
    allowed_s = MAX_START_DELAY_S * fmean(trace.speed for trace in traces)
    return min(MAX_BUFFER_S, max(most, min(nearly_all, allowed_s)))


def rebuffer_s(underruns: int) -> float:
    """Return the seconds to buffer after the n-th underrun: more, as the server is too slow."""
    return min(MAX_BUFFER_S, REBUFFER_S * 2.0 ** max(0, underruns - 3))
