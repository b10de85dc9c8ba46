"""The card together with its timeline: writes sound and silence without blocking."""

from __future__ import annotations

from time import monotonic

from edgevoice_plugins.sound_card_child import wire
from edgevoice_plugins.sound_card_child.card import Card
from edgevoice_plugins.sound_card_child.timeline import Gap, PlayoutTimeline


class DeviceQueue:
    """The audio queue of one card, with a new timeline each time the card is opened.

    Raises:
        CardLostError: Raised by every method that touches the card, if the card cannot be used.
    """

    def __init__(self, device: str) -> None:
        self.card = Card(device)
        self.timeline = PlayoutTimeline()
        #: Monotonic time in seconds of the last `update`.
        self.now = monotonic()
        #: Whether sound waits until silence that is still needed was played.
        self.is_waiting = False
        #: Frames that the card took without blocking at the last `update`, less those written since.
        self.room = 0

    @property
    def period(self) -> int:
        """Return a period in frames."""
        return round(self.timeline.rate * wire.PERIOD_S)

    @property
    def is_drained(self) -> bool:
        return self.timeline.is_drained(monotonic())

    def is_open(self, rate: int) -> bool:
        return self.card.is_open and self.timeline.rate == rate

    def open(self, rate: int) -> None:
        self.card.open(rate)
        self.timeline = PlayoutTimeline(rate, self.card.capacity, round(rate * wire.PERIOD_S))

    def update(self) -> None:
        """Ask the card how far it has come."""
        self.now = monotonic()
        self.room = self.card.room()
        self.timeline.update(self.room, self.now)

    def write_sound(self, pcm: bytearray, lead_in: int) -> bool:
        """Move the beginning of `pcm` to the card, after at least `lead_in` frames of silence.

        Returns:
            Whether any was written.
        """
        if not pcm or self.timeline.trailing_silence < lead_in:
            return False
        gap = self.timeline.gap_before_sound(lead_in, self.now)
        self.is_waiting = gap is Gap.NEEDED
        if self.is_waiting:
            return False
        if gap is Gap.SURPLUS:
            self.drop()
        chunk = bytes(pcm[: self.room * wire.BYTES_PER_FRAME])
        if not chunk:
            return False
        self.card.write(chunk)
        del pcm[: len(chunk)]
        frames = len(chunk) // wire.BYTES_PER_FRAME
        self.timeline.add_sound(frames, self.now)
        self.room -= frames
        return True

    def write_silence(self, frames: int) -> None:
        """Write silence, as much of it as there is room for."""
        frames = min(frames, self.room)
        if frames > 0:
            self.card.write(bytes(frames * wire.BYTES_PER_FRAME))
            self.timeline.add_silence(frames, self.now)
            self.room -= frames

    def drop(self) -> None:
        """Drop what the card holds."""
        self.card.reset()
        self.timeline.drop()
        self.room = self.timeline.capacity
