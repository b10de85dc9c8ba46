"""How loud: software gain, of which 100 leaves samples unchanged and nothing is ever more."""

from __future__ import annotations

import array
import sys

RAMP = 0.005
"""Seconds over which a sound that cuts in grows to its volume, so that it does not click."""


def effective(
    asked: float | None, speaker: int, *, ceiling: int | None = None, floor: int | None = None
) -> int:
    """The announcement's volume, else the speaker's; then the night's ceiling; last the critical floor."""
    volume = round(speaker if asked is None else asked)
    if ceiling is not None:
        volume = min(volume, ceiling)
    return volume if floor is None else max(volume, floor)


def scale(pcm: bytes, volume: int) -> bytes:
    """s16le samples at `volume` percent of their amplitude."""
    if volume == 100:
        return pcm
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

    samples = np.frombuffer(pcm, dtype="<i2")
    return np.rint(samples * (volume / 100)).astype("<i2").tobytes()


def ramped(pcm: bytes, rate: int) -> bytes:
    """The same s16le mono samples, the first 5 ms of them growing from nothing."""
    span = min(round(rate * RAMP), len(pcm) // 2)
    head = array.array("h", pcm[: span * 2])
    if sys.byteorder == "big":
        head.byteswap()
    for index in range(span):
        head[index] = head[index] * index // span
    if sys.byteorder == "big":
        head.byteswap()
    return head.tobytes() + pcm[span * 2 :]
