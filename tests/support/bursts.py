"""Numbered tone bursts: which were heard, for how long, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.support.speech import BURST_S, tone_of

WINDOW = 0.01
GLITCH = 3
"""Windows that a burst has at least; fewer are where one sound follows another."""
NUMBERS = 40


@dataclass(frozen=True)
class Heard:
    """A burst, or what was heard of it in one go."""

    number: int
    seconds: float

    @property
    def is_whole(self) -> bool:
        return self.seconds > BURST_S - 0.03


def text_of(numbers: range) -> str:
    """A text whose speech is these bursts."""
    return " ".join(f"k{number}z." for number in numbers)


def heard_in(pcm: bytes, rate: int = 24000) -> list[Heard]:
    """The bursts in a recording, in order."""
    size = round(rate * WINDOW)
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    nonzero = np.flatnonzero(samples)
    samples = samples[nonzero[0] if len(nonzero) else 0 :]
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.abs(np.fft.rfft(windows, axis=1))
    tones = power[:, [round(tone_of(number) * WINDOW) for number in range(NUMBERS)]]
    labels = np.where(np.abs(windows).max(axis=1) > 500, tones.argmax(axis=1), -1)
    edges = np.flatnonzero(np.diff(labels)) + 1
    runs = [run for run in np.split(labels, edges) if len(run) >= GLITCH and run[0] >= 0]
    return [Heard(int(run[0]), len(run) * WINDOW) for run in runs]


def check(heard: list[Heard], numbers: range, cuts: int) -> None:
    """None is missing, the order is kept, and after each cut at most one burst was heard twice."""
    mine = [burst for burst in heard if burst.number in numbers]
    order = [burst.number for burst in mine]
    assert order == sorted(order), heard
    assert {burst.number for burst in mine if burst.is_whole} == set(numbers), heard
    assert len(mine) - len(numbers) <= cuts, heard
