"""Software gain and fades of s16le mono. Gain only ever attenuates: 100 leaves samples unchanged."""

from __future__ import annotations

import math
import struct
import sys
from typing import TYPE_CHECKING

from edgevoice.audio import BYTES_PER_FRAME

if TYPE_CHECKING:
    import numpy as np

#: A sound that cuts in grows to its volume within this, so that it does not click.
RAMP_S = 0.005
#: A change of volume in mid-speech is spread over this.
GLIDE_S = 0.02
#: A truncated end fades out within this; the audio that follows fades in (`Ramp`).
FADE_S = 0.005
#: Silence between a truncated end and its continuation: long enough to be found as a pause to resume from.
SPLICE_SILENCE_S = 0.12


def effective_volume(
    asked: float | None,
    usual: int,
    *,
    boost: int = 0,
    ceiling: int | None = None,
    floor: int | None = None,
) -> int:
    """Return the volume in percent: `asked`, else `usual`, plus `boost`; then the ceiling; the floor wins."""
    volume = min(100, round(usual if asked is None else asked) + boost)
    if ceiling is not None:
        volume = min(volume, ceiling)
    return volume if floor is None else max(volume, floor)


def load() -> None:
    """Import numpy, which takes a fraction of a second: not on the event loop."""
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

    del np


class Gain:
    """Software gain over consecutive pieces of s16le mono. A change of volume glides over 20 ms, across pieces."""

    def __init__(self, volume: int, rate: int) -> None:
        self._volume = volume
        self._glide_frames = round(rate * GLIDE_S)
        #: Gains of the frames that the current glide has left; None once it has ended.
        self._glide: np.ndarray | None = None

    def is_ready(self, volume: int) -> bool:
        """Return whether `apply` needs no import."""
        return volume == self._volume == 100 or "numpy" in sys.modules

    def apply(self, pcm: bytes, volume: int) -> bytes:
        """Return the next piece at `volume` percent of its amplitude."""
        if volume == self._volume == 100 and self._glide is None:
            return pcm
        import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

        if volume != self._volume:
            start = self._volume / 100 if self._glide is None else self._glide[0]
            self._glide = np.linspace(start, volume / 100, self._glide_frames)
            self._volume = volume
        samples = np.frombuffer(pcm, dtype="<i2")
        gain = np.full(len(samples), volume / 100)
        if self._glide is not None:
            head, rest = np.split(self._glide, [len(samples)])
            gain[: len(head)] = head
            self._glide = rest if len(rest) else None
        scaled: bytes = np.rint(samples * gain).astype("<i2").tobytes()
        return scaled


class Ramp:
    """Fades in the first 5 ms of s16le mono at `rate` Hz, across pieces. A rate of 0 changes nothing."""

    def __init__(self, rate: int) -> None:
        self._span = round(rate * RAMP_S)
        self._done = 0

    def apply(self, pcm: bytes) -> bytes:
        """Return the next piece."""
        count = min(self._span - self._done, len(pcm) // BYTES_PER_FRAME)
        if count <= 0:
            return pcm
        head = struct.unpack_from(f"<{count}h", pcm)
        faded = (value * frame // self._span for frame, value in enumerate(head, self._done))
        self._done += count
        return struct.pack(f"<{count}h", *faded) + pcm[count * BYTES_PER_FRAME :]


def fade_tail(last: bytes, rate: int) -> bytes:
    """Return what follows a truncated end whose last sample is `last`: a fade to zero, and a pause of 120 ms."""
    (value,) = struct.unpack("<h", last)
    count = round(rate * FADE_S)
    fade = [round(value * (1 + math.cos(math.pi * step / count)) / 2) for step in range(1, count + 1)]
    return struct.pack(f"<{count}h", *fade) + bytes(BYTES_PER_FRAME * round(rate * SPLICE_SILENCE_S))
