"""How loud: software gain, of which 100 leaves samples unchanged and nothing is ever more."""

from __future__ import annotations

import array
import math
import struct
import sys

RAMP_S = 0.005
"""Seconds over which a sound that cuts in grows to its volume, so that it does not click."""
GLIDE_S = 0.02
"""Seconds over which a change of volume in mid-speech is made."""


def effective_volume(
    asked: float | None,
    usual: int,
    *,
    louder: int = 0,
    ceiling: int | None = None,
    floor: int | None = None,
) -> int:
    """The announcement's volume, else the usual one; then the night's ceiling; last the critical floor."""
    volume = min(100, round(usual if asked is None else asked) + louder)
    if ceiling is not None:
        volume = min(volume, ceiling)
    return volume if floor is None else max(volume, floor)


def load() -> None:
    """Load what gain needs; takes a fraction of a second, so not on the event loop."""
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

    del np


class Gain:
    """Software gain over consecutive pieces of s16le mono at `rate` Hz; a change glides over 20 ms."""

    def __init__(self, volume: int, rate: int) -> None:
        self._volume = volume
        self._span = round(rate * GLIDE_S)
        #: The factor from which the last change glides, the factor reached, and the samples done of the glide.
        self._from = self._level = volume / 100
        self._done = self._span

    def is_ready(self, volume: int) -> bool:
        """Return whether `apply` needs to load nothing."""
        return (volume == self._volume == 100 and self._done >= self._span) or "numpy" in sys.modules

    def apply(self, pcm: bytes, volume: int) -> bytes:
        """Return the piece at `volume` percent of its amplitude."""
        if volume != self._volume:
            self._volume, self._from, self._done = volume, self._level, 0
        if volume == 100 and self._done >= self._span:
            return pcm
        import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

        samples = np.frombuffer(pcm, dtype="<i2")
        gain = np.full(len(samples), volume / 100)
        if self._done < self._span:
            # A glide goes on in the next piece: a shorter one would click.
            glide = np.linspace(self._from, volume / 100, self._span)[self._done :][: len(samples)]
            gain[: len(glide)] = glide
            self._done += len(glide)
            self._level = float(gain[-1]) if len(gain) else self._level
        scaled: bytes = np.rint(samples * gain).astype("<i2").tobytes()
        return scaled


class Ramp:
    """Lets the first 5 ms of s16le mono at `rate` Hz grow from nothing, however small the pieces; 0 Hz, none."""

    def __init__(self, rate: int) -> None:
        self._span = round(rate * RAMP_S)
        self._done = 0

    def apply(self, pcm: bytes) -> bytes:
        """The next piece."""
        count = min(self._span - self._done, len(pcm) // 2)
        if count <= 0:
            return pcm
        head = array.array("h", pcm[: count * 2])
        if sys.byteorder == "big":
            head.byteswap()
        for index in range(count):
            head[index] = head[index] * (self._done + index) // self._span
        if sys.byteorder == "big":
            head.byteswap()
        self._done += count
        return head.tobytes() + pcm[count * 2 :]


FADE_S = 0.005
"""Seconds in which the broken end comes to rest; what follows grows over as many (`volume.Ramp`)."""
SPLICE_SILENCE_S = 0.12
"""Seconds of silence before it goes on: a pause, from which an interrupted announcement may go on, too."""


def fade_tail(last: bytes, rate: int) -> bytes:
    """What follows a last sample, s16le mono at `rate` Hz: from its value down to nothing, and a breath."""
    (value,) = struct.unpack("<h", last)
    count = round(rate * FADE_S)
    fall = [round(value * (1 + math.cos(math.pi * step / count)) / 2) for step in range(1, count + 1)]
    return struct.pack(f"<{count}h", *fall) + bytes(2 * round(rate * SPLICE_SILENCE_S))
