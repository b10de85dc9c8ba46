"""The joint in a clip where one speech broke off and another goes on: heard as a breath, not as a click."""

from __future__ import annotations

import math
import struct

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
