"""Software gain: 100 leaves samples unchanged, less is quieter."""

from __future__ import annotations


def effective(asked: float | None, speaker: int, *, floor: int | None = None) -> int:
    """The volume to play at: the announcement's, else the speaker's; never below `floor`."""
    volume = round(speaker if asked is None else asked)
    return volume if floor is None else max(volume, floor)


def scale(pcm: bytes, volume: int) -> bytes:
    """s16le samples at `volume` percent of their amplitude."""
    if volume == 100:
        return pcm
    import numpy as np  # noqa: PLC0415 - 15 MB that most speakers never need

    samples = np.frombuffer(pcm, dtype="<i2")
    return np.rint(samples * (volume / 100)).astype("<i2").tobytes()
