"""Speech out of the chunks of a streamed reply: whole samples, bounded, and something at all."""

from __future__ import annotations

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.reply import WholeSamples

LONGEST = 65 * 60
"""Seconds of speech that one reply may have; a server that never ends is left then."""
FIRST = 60.0
"""Seconds without a first sample after which a request is given up, if nobody did so before."""
SILENCE = 10.0
"""Seconds without audio after which a speech that has begun is given up."""


class Speech:
    """The speech of one reply at `rate` Hz, s16le mono."""

    def __init__(self, rate: int) -> None:
        self._samples = WholeSamples()
        self._rate = rate
        self._bytes = 0

    @property
    def seconds(self) -> float:
        return self._bytes / 2 / self._rate

    def feed(self, pcm: bytes) -> bytes:
        """The whole samples that there are now; may be empty.

        Raises:
            TransportError: the reply is longer than any real one.
        """
        whole = self._samples.feed(pcm)
        self._bytes += len(whole)
        if self.seconds > LONGEST:
            raise TransportError(
                f"the server sent more than {LONGEST // 60} minutes of audio and did not end"
            )
        return whole

    def end(self) -> None:
        """The reply is over; half a sample behind others is dropped.

        Raises:
            TransportError: there was not a single whole sample.
        """
        if self._bytes:
            return
        raise TransportError(f"the server sent {len(self._samples.odd) or 'no'} bytes of audio")
