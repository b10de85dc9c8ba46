"""Pauses in speech: where an interrupted announcement may go on, and where one may be interrupted.

A pause is at least 80 ms that lie 30 dB or more below the loud level of the last 5 s, the 95th percentile
of its 10 ms windows (contract). Levels are mean squares of s16le samples.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WINDOW_S = 0.01
"""Seconds of a window."""
MIN_SILENCE_WINDOWS = 8
"""Windows that a pause has at least."""
SILENCE_RATIO = 10 ** (-30 / 10)
"""How far below the loud level a pause lies, as a ratio of mean squares."""
LOUD_QUANTILE = 0.95
"""The share of windows that are quieter than the loud level."""
LOUDNESS_WINDOW_S = 5.0
"""Seconds whose loud level counts."""
SEARCH_S = 10.0
"""Seconds before a cut in which a pause is looked for."""
FALLBACK_SEARCH_S = 1.5
"""Seconds before a cut in which the quietest 80 ms are taken, where there is no pause."""
EARLY_S = 1.5
"""Seconds of speech before which an announcement that was cut begins anew."""


def resume_frame(pcm: bytes, rate: int) -> int:
    """Where to go on after a cut at the end of `pcm`: an offset into it, in frames.

    `pcm` is what was heard before the cut, at most the last `SEARCH` + `LOOK_BACK` seconds. It is the end of
    the last pause, less 80 ms; else of the quietest 80 ms of the last 1.5 s; else the start.
    """
    if len(pcm) // 2 < EARLY_S * rate:
        return 0
    levels = window_power(pcm, rate)
    begin = max(0, len(levels) - round(SEARCH_S / WINDOW_S))
    runs = [run for run in silences_in(levels) if run[1] > begin]
    window = max(runs[-1][0], runs[-1][1] - MIN_SILENCE_WINDOWS) if runs else _quietest(levels)
    return window * window_frames(rate)


def next_silence(pcm: bytes, rate: int, start: int) -> int | None:
    """Frame of `pcm` at which a pause of 80 ms that ends behind frame `start` is whole; None without one."""
    size = window_frames(rate)
    for first, end in silences_in(window_power(pcm, rate)):
        if end * size > start:
            return max(start, (first + MIN_SILENCE_WINDOWS) * size)
    return None


def silences_in(levels: np.ndarray) -> list[tuple[int, int]]:
    """First window, and the one behind the last, of each pause."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    quiet = levels <= loudness_percentile(levels) * SILENCE_RATIO
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8)))
    runs = [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
    return [(first, end) for first, end in runs if end - first >= MIN_SILENCE_WINDOWS]


def loudness_percentile(levels: np.ndarray) -> np.ndarray:
    """For each window the 95th percentile of the 5 s that end with it; of what there is, near the start."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    span, values = round(LOUDNESS_WINDOW_S / WINDOW_S), levels.tolist()
    ordered: list[float] = []
    loud = np.empty(len(values))
    for index, level in enumerate(values):
        if index >= span:
            del ordered[bisect.bisect_left(ordered, values[index - span])]
        bisect.insort(ordered, level)
        loud[index] = ordered[int(LOUD_QUANTILE * (len(ordered) - 1))]
    return loud


def window_power(pcm: bytes, rate: int) -> np.ndarray:
    """The mean square of each whole window, float64."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    size = window_frames(rate)
    samples = np.frombuffer(pcm, dtype="<i2")
    whole = samples[: len(samples) // size * size].astype(np.float32).reshape(-1, size)
    levels: np.ndarray = np.einsum("ij,ij->i", whole, whole).astype(np.float64) / size
    return levels


def window_frames(rate: int) -> int:
    return round(rate * WINDOW_S)


def _quietest(levels: np.ndarray) -> int:
    """First window of the quietest 80 ms of the last 1.5 s."""
    import numpy as np  # noqa: PLC0415 - loaded only by who needs it

    begin = max(0, len(levels) - round(FALLBACK_SEARCH_S / WINDOW_S))
    energy = np.convolve(levels[begin:], np.ones(MIN_SILENCE_WINDOWS), "valid")
    return begin + int(energy.argmin())
