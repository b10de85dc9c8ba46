"""What a recording of a known tone tells: how much of its beginning was lost, and what lead-in follows from that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgevoice_plugins.sound_card.lead_in import ASLEEP_S, LONGEST_MS, Learned
from edgevoice_plugins.sound_card.listening import RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

TONE_S = 3.0
"""As long as the worst known sink needs to wake."""
FROM_HZ, TO_HZ = 400.0, 4000.0
HOP = RATE // 100
BLOCK = 4 * HOP
"""Frames whose pitch is looked for; what was lost is known to about 20 ms."""
FINENESS = 8192
"""Points of a spectrum: 3 Hz, or 2.4 ms of the tone."""
CLEAR = 0.3
"""Share of a block's power that lies within 75 Hz of its pitch: a tone has nearly all there, noise a tenth."""
NEAR_HZ = 75.0
RUN = 8
"""So many pitches that rise as the tone does are no chance."""
SLACK_S = 0.008
NOTHING_S = 0.03
MARGIN_S = 0.05
STEP_MS = 50


def tone() -> bytes:
    """A tone that rises steadily, so that each moment of it tells which it is; s16le mono at `RATE`."""
    seconds = np.arange(round(TONE_S * RATE)) / RATE
    turns = FROM_HZ * seconds + (TO_HZ - FROM_HZ) / TONE_S / 2 * seconds**2
    return bytes(np.rint(0.3 * 32767 * np.sin(2 * np.pi * turns)).astype("<i2").tobytes())


def lost_seconds(recording: bytes) -> float | None:
    """Seconds of the beginning of the tone that a recording lacks; None if it holds nothing of it.

    The first pitch tells, from which on it rises as the tone does; so neither does it matter when the tone
    was played, nor whether there are holes in it later on.
    """
    heard = np.frombuffer(recording[: len(recording) // 2 * 2], "<i2").astype(np.float64)
    moments = [_moment(heard[start : start + BLOCK]) for start in range(0, len(heard) - BLOCK + 1, HOP)]
    for at in range(len(moments) - RUN + 1):
        found = moments[at : at + RUN]
        first = found[0]
        if first is not None and all(
            moment is not None and abs(moment - first - step * HOP / RATE) < SLACK_S
            for step, moment in enumerate(found)
        ):
            return max(0.0, first - BLOCK / 2 / RATE)
    return None


def _moment(block: Samples) -> float | None:
    """The second of the tone whose pitch a block has; None if it has none."""
    power = np.abs(np.fft.rfft(block * np.hanning(len(block)), FINENESS)) ** 2
    pitches = np.fft.rfftfreq(FINENESS, 1 / RATE)
    power[pitches < FROM_HZ / 2] = 0.0
    pitch = float(pitches[int(np.argmax(power))])
    near = power[np.abs(pitches - pitch) < NEAR_HZ].sum()
    if near <= CLEAR * power.sum() or near == 0.0:
        return None
    return (pitch - FROM_HZ) * TONE_S / (TO_HZ - FROM_HZ)


def learn(lost: Sequence[tuple[float, float]]) -> Learned:
    """The lead-in that makes up for what was lost, given as pairs of seconds slept and seconds lost."""
    worst = max(seconds for _, seconds in lost)
    if worst < NOTHING_S:
        return Learned(0, ASLEEP_S)
    needed = math.ceil((worst + MARGIN_S) * 1000 / STEP_MS) * STEP_MS
    asleep = min(slept for slept, seconds in lost if seconds >= NOTHING_S)
    awake = [slept for slept, seconds in lost if slept < asleep and seconds < NOTHING_S]
    return Learned(min(needed, LONGEST_MS), max(awake, default=0.0))
