"""Silence detection: where speech may be interrupted, and from where it may be resumed.

A pause is at least 80 ms that lie 30 dB or more below the loud level of the last 5 s, the 95th percentile
of its 10 ms windows. Levels are mean squares of s16le mono samples.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from edgevoice.audio import BYTES_PER_FRAME

if TYPE_CHECKING:
    import numpy as np

WINDOW_S = 0.01
#: Windows that a pause has at least: 80 ms.
MIN_SILENCE_WINDOWS = 8
#: -30 dB as a ratio of mean squares.
SILENCE_RATIO = 10 ** (-30 / 10)
#: Share of the windows that are quieter than the loud level.
LOUD_QUANTILE = 0.95
#: The loud level is that of the last 5 s.
LOUDNESS_WINDOW_S = 5.0
#: A pause to resume from is searched this far before the cut.
SEARCH_S = 10.0
#: Without a pause, the quietest 80 ms are searched this far before the cut.
FALLBACK_SEARCH_S = 1.5
#: Speech that was cut earlier than this starts again from the beginning.
EARLY_S = 1.5


def resume_frame(pcm: bytes, rate: int) -> int:
    """Return the frame of `pcm` to resume from after a cut at its end.

    `pcm` is what was heard before the cut, at most the last `SEARCH_S` + `LOUDNESS_WINDOW_S`. The frame is
    80 ms before the end of the last pause; without one, the start of the quietest 80 ms of the last 1.5 s;
    early on, 0.
    """
    if len(pcm) // BYTES_PER_FRAME < EARLY_S * rate:
        return 0
    levels = window_power(pcm, rate)
    begin = max(0, len(levels) - round(SEARCH_S / WINDOW_S))
    runs = [run for run in silences_in(levels) if run[1] > begin]
    window = max(runs[-1][0], runs[-1][1] - MIN_SILENCE_WINDOWS) if runs else _quietest(levels)
    return window * window_frames(rate)


def next_silence(pcm: bytes, rate: int, start: int) -> int | None:
    """Return the frame at which the first pause that ends after `start` has lasted 80 ms; None without one."""
    size = window_frames(rate)
    for first, end in silences_in(window_power(pcm, rate)):
        if end * size > start:
            return max(start, (first + MIN_SILENCE_WINDOWS) * size)
    return None


def silences_in(levels: np.ndarray) -> list[tuple[int, int]]:
    """Return each pause as its first window and the window after its last."""
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

    quiet = levels <= loudness_percentile(levels) * SILENCE_RATIO
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8)))
    runs = [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
    return [(first, end) for first, end in runs if end - first >= MIN_SILENCE_WINDOWS]


def loudness_percentile(levels: np.ndarray) -> np.ndarray:
    """Return for each window the 95th percentile of the (up to) 5 s that end with it."""
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

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
    """Return the mean square of each whole window, as float64."""
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

    size = window_frames(rate)
    samples = np.frombuffer(pcm, dtype="<i2")
    whole = samples[: len(samples) // size * size].astype(np.float32).reshape(-1, size)
    levels: np.ndarray = np.einsum("ij,ij->i", whole, whole).astype(np.float64) / size
    return levels


def window_frames(rate: int) -> int:
    return round(rate * WINDOW_S)


def _quietest(levels: np.ndarray) -> int:
    """Return the first window of the quietest 80 ms of the last 1.5 s."""
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

    begin = max(0, len(levels) - round(FALLBACK_SEARCH_S / WINDOW_S))
    energy = np.convolve(levels[begin:], np.ones(MIN_SILENCE_WINDOWS), "valid")
    return begin + int(energy.argmin())
