"""The card and the tape on it: gives sound and silence, and looks how far the card has come."""

from __future__ import annotations

from time import monotonic

from edgevoice_plugins.sound_card_child import wire
from edgevoice_plugins.sound_card_child.card import Card
from edgevoice_plugins.sound_card_child.tape import Before, Tape


class Deck:
    """One card, with a new tape each time it is opened.

    Raises:
        CardLost: the card cannot be used; so do all that touch it.
    """

    def __init__(self, device: str) -> None:
        self.card = Card(device)
        self.tape = Tape()
        self.room = 0
        """Frames that the card takes without waiting, since it was looked at."""
        self.now = monotonic()
        """When that was, in monotonic seconds."""
        self.waits = False
        """Whether sound waits for silence that is still wanted."""

    @property
    def period(self) -> int:
        return round(self.tape.rate * wire.PERIOD_S)

    @property
    def is_out(self) -> bool:
        """Whether all sound so far was heard, and nothing cuts the last of it any more."""
        return self.tape.is_out(monotonic())

    def is_open(self, rate: int) -> bool:
        return self.card.is_open and self.tape.rate == rate

    def open(self, rate: int) -> None:
        self.card.open(rate)
        self.tape = Tape(rate, self.card.capacity, round(rate * wire.PERIOD_S))

    def look(self) -> None:
        """See how far the card has come."""
        self.now = monotonic()
        self.room = self.card.room()
        self.tape.look(self.room, self.now)

    def give(self, queue: bytearray, lead: int) -> bool:
        """Move sound from the queue to the card, after at least `lead` frames of silence; whether any was."""
        if not queue or self.tape.silence < lead:
            return False
        before = self.tape.before_sound(lead, self.now)
        self.waits = before is Before.WANTED
        if self.waits:
            return False
        if before is Before.SILENCE:
            self.forget()
        pcm = bytes(queue[: self.room * wire.BYTES_PER_FRAME])
        if not pcm:
            return False
        self.card.write(pcm)
        del queue[: len(pcm)]
        frames = len(pcm) // wire.BYTES_PER_FRAME
        self.tape.give(frames, self.now)
        self.room -= frames
        return True

    def give_silence(self, frames: int) -> None:
        """Write so many frames of silence, or as many as there is room for."""
        frames = min(frames, self.room)
        if frames > 0:
            self.card.write(bytes(frames * wire.BYTES_PER_FRAME))
            self.tape.give_silence(frames, self.now)
            self.room -= frames

    def forget(self) -> None:
        """Drop what the card holds."""
        self.card.reset()
        self.tape.clear()
        self.room = self.tape.capacity
