"""Finding onsets, holes and tones in captured samples; samples are floats in -1..1."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Above this a sample is sound; the tone of the server passes below it for a few samples only.
AUDIBLE = 0.004
SHORTEST_HOLE_S = 0.003
WINDOW_S, STEP_S = 0.005, 0.001


class Silence(NamedTuple):
    """The silences between the first sound and the last: their number, and their total in seconds."""

    holes: int
    seconds: float


def onset(samples: NDArray[np.float32], level: float) -> int | None:
    """Return the position of the first sample louder than `level`."""
    loud = np.flatnonzero(np.abs(samples) > level)
    return int(loud[0]) if len(loud) else None


def holes(samples: NDArray[np.float32], rate: int) -> Silence | None:
    """Return the silences between the first sound and the last; None without any sound."""
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    if not len(loud):
        return None
    apart = np.diff(loud)
    long = apart[apart > SHORTEST_HOLE_S * rate]
    return Silence(len(long), float(long.sum()) / rate)


def seconds_of_sound(samples: NDArray[np.float32], rate: int) -> float:
    """Return the seconds between the first sound and the last that were not silent."""
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    silence = holes(samples, rate)
    if silence is None:
        return 0.0
    return float(loud[-1] - loud[0] + 1) / rate - silence.seconds


def tone_amplitude(samples: NDArray[np.float32], frequency: float, rate: int) -> NDArray[np.float64]:
    """Return the amplitude of one frequency in windows of 5 ms, one window for each millisecond."""
    window, step = int(WINDOW_S * rate), int(STEP_S * rate)
    if len(samples) <= window:
        return np.zeros(0)
    views = sliding_window_view(samples, window)[::step]
    wave = np.exp(-2j * np.pi * frequency * np.arange(window) / rate)
    return np.asarray(np.abs(views @ wave) * 2 / window, np.float64)


class Interruption(NamedTuple):
    """Return the end of the old tone, None if it was not heard, and the start of the new tone; in samples."""

    old_ends: int | None
    new_begins: int


def find_interruption(samples: NDArray[np.float32], old: float, new: float, rate: int) -> Interruption | None:
    """Return the position where a tone replaces another; None while the new tone is not heard."""
    before, after = tone_amplitude(samples, old, rate), tone_amplitude(samples, new, rate)
    begins = np.flatnonzero((after > 0.05) & (after > 3 * before))
    if not len(begins):
        return None
    first = int(begins[0])
    ends = np.flatnonzero((before[:first] > 0.05) & (before[:first] > 3 * after[:first]))
    step, half = int(STEP_S * rate), int(WINDOW_S * rate) // 2
    return Interruption(int(ends[-1]) * step + half if len(ends) else None, first * step + half)


def simulate_player(chunks: Sequence[tuple[float, float]], prebuffer: float) -> Silence:
    """Return the silence of a player that starts `prebuffer` seconds after the first chunk.

    Each chunk is when it came and how long it is, in seconds. After a hole the player goes on at once.
    """
    at = chunks[0][0] + prebuffer
    count, seconds = 0, 0.0
    for came, length in chunks:
        if came > at + SHORTEST_HOLE_S:
            count += 1
            seconds += came - at
            at = came
        at += length
    return Silence(count, seconds)
