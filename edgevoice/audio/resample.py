"""Streaming sample-rate conversion of s16le mono with soxr, which is imported only if two rates differ."""

from __future__ import annotations

from typing import Any

from edgevoice.audio import BYTES_PER_FRAME

#: soxr's preset for 16-bit audio; a better one changes no sample by more than the last bit.
QUALITY = "HQ"


class Resampler:
    """Converts s16le mono from `source_rate` to `target_rate` Hz; equal rates pass unchanged.

    The constructor imports numpy and soxr if the rates differ, which takes about 0.2 s: call it in a thread.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self.source_rate = source_rate
        self.target_rate = target_rate
        #: Frames of the source so far.
        self.taken = 0
        self._stream: Any = None
        if source_rate != target_rate:
            import soxr  # noqa: PLC0415 - with numpy 20 MB and 0.2 s that most nodes never need

            # In float32, because soxr dithers 16-bit output (docs/decisions/resampler.md).
            self._stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality=QUALITY)

    def feed(self, pcm: bytes, last: bool = False) -> bytes:
        """Convert whole samples. Returns what is finished of the result; with `last`, all of it."""
        result = pcm if self._stream is None else self._convert(pcm, last=last)
        self.taken += len(pcm) // BYTES_PER_FRAME
        return result

    def source_frames(self, made: int) -> int:
        """Return the number of source frames that the first `made` frames of the result stand for."""
        return min(self.taken, made * self.source_rate // self.target_rate)

    def _convert(self, pcm: bytes, *, last: bool) -> bytes:
        import numpy as np  # noqa: PLC0415 - soxr has imported it

        source = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        result = self._stream.resample_chunk(source, last=last)
        samples: bytes = np.clip(np.rint(result), -32768, 32767).astype("<i2").tobytes()
        return samples
