"""Pauses in speech: where an interrupted announcement may go on, and where one may be interrupted.

A pause is at least 80 ms that lie 30 dB or more below the loud level of the last 5 s, the 95th percentile
of its 10 ms windows (contract). Levels are RMS of s16le samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WINDOW = 0.01
"""Seconds of a window."""
SHORTEST = 8
"""Windows that a pause has at least."""
BELOW = 10 ** (-30 / 20)
"""How far below the loud level a pause lies, as a ratio."""
LOOK_BACK = 5.0
"""Seconds whose loud level counts."""
SEARCH = 10.0
"""Seconds before a cut in which a pause is looked for."""
ELSE_SEARCH = 1.5
"""Seconds before a cut in which the quietest 80 ms are taken, where there is no pause."""
EARLY = 1.5
"""Seconds of speech before which an announcement that was cut begins anew."""


def resume_frame(pcm: bytes, rate: int) -> int:
    """Where to go on after a cut at the end of `pcm`: an offset into it, in frames.

    `pcm` is what was heard before the cut, at most the last `SEARCH` + `LOOK_BACK` seconds. It is the end of
    the last pause, less 80 ms; else of the quietest 80 ms of the last 1.5 s; else the start.
    """
    levels = window_levels(pcm, rate)
    size = window_frames(rate)
    if len(levels) * WINDOW < EARLY:
        return 0
    begin = max(0, len(levels) - round(SEARCH / WINDOW))
    runs = [run for run in pauses_in(levels) if run[1] > begin]
    if runs:
        return max(runs[-1][0], runs[-1][1] - SHORTEST) * size
    return _quietest(levels) * size


def next_pause(pcm: bytes, rate: int, start: int) -> int | None:
    """Frame of `pcm` at which a pause of 80 ms that ends behind frame `start` is whole; None without one."""
    size = window_frames(rate)
    for first, end in pauses_in(window_levels(pcm, rate)):
        whole = first + SHORTEST
        if end * size > start:
            return max(start, whole * size)
    return None


def pauses_in(levels: np.ndarray) -> list[tuple[int, int]]:
    """First window, and the one behind the last, of each pause."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    quiet = np.zeros(len(levels), dtype=bool)
    span = round(LOOK_BACK / WINDOW)
    for index in range(len(levels)):
        past = levels[max(0, index - span + 1) : index + 1]
        loud = np.partition(past, int(0.95 * (len(past) - 1)))[int(0.95 * (len(past) - 1))]
        quiet[index] = levels[index] <= loud * BELOW
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8)))
    runs = [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
    return [(first, end) for first, end in runs if end - first >= SHORTEST]


def window_levels(pcm: bytes, rate: int) -> np.ndarray:
    """RMS of each whole window, float64."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    size = window_frames(rate)
    samples = np.frombuffer(pcm, dtype="<i2")
    whole = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size)
    levels: np.ndarray = np.sqrt((whole * whole).mean(axis=1))
    return levels


def window_frames(rate: int) -> int:
    return round(rate * WINDOW)


def _quietest(levels: np.ndarray) -> int:
    """First window of the quietest 80 ms of the last 1.5 s."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    begin = max(0, len(levels) - round(ELSE_SEARCH / WINDOW))
    energy = np.convolve(levels[begin:] ** 2, np.ones(SHORTEST), "valid")
    return begin + int(energy.argmin()) if len(energy) else begin
