"""Numbered tone bursts: which were heard, for how long, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.support.speech import BURST_S, tone_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 0.01
#: Windows that a burst has at least; fewer are where one sound follows another.
GLITCH = 3
#: The maximum of silent windows within a burst after an underrun; a longer silence is a cut.
HOLE = 10
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
    return [Heard(number, length * WINDOW) for number, length in _joined(np.split(labels, edges))]


def _joined(runs: list[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Each burst and its windows, with those that fell into a hole of the sound put together."""
    number, length, hole = -1, 0, 0
    for run in runs:
        if run[0] == number and hole <= HOLE and (length + len(run)) * WINDOW <= BURST_S + 0.03:
            length += len(run)
        elif run[0] >= 0 and len(run) >= GLITCH:
            if length:
                yield number, length
            number, length = int(run[0]), len(run)
        else:
            hole += len(run)
            continue
        hole = 0
    if length:
        yield number, length


def check(heard: list[Heard], numbers: range, cuts: int) -> None:
    """Assert that no burst is missing, the order is kept, and after each cut at most one was heard twice."""
    mine = [burst for burst in heard if burst.number in numbers]
    order = [burst.number for burst in mine]
    assert order == sorted(order), heard
    assert {burst.number for burst in mine if burst.is_whole} == set(numbers), heard
    assert len(mine) - len(numbers) <= cuts, heard
