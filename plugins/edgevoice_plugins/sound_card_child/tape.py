"""What a card was given and how far it has come, in frames: sound, and the silence behind it."""

from __future__ import annotations

from enum import Enum

SETTLED_S = 0.03
"""A sound server takes a frame up to a period before it sounds, and may take it back: so much later it cannot."""
PAST_S = 0.01
"""The same for a sound that another one follows: it is not worth more to hear that one longer."""


class Before(Enum):
    """What stands in a card before the next sound."""

    NOTHING = 0
    WANTED = 1
    """Silence of which some is wanted: it has to be waited for."""
    SILENCE = 2
    """Silence that nobody wants any more: it may be dropped."""


class Tape:
    """The frames in a card that holds `capacity` of them at `rate` Hz and gets on by up to `step` at once.

    Between two of its steps the clock tells how far it is; for one step at most, so that a card that stands
    still is not taken for one that plays. All times are monotonic seconds.
    """

    def __init__(self, rate: int = 0, capacity: int = 0, step: int = 0) -> None:
        self.rate = rate
        self.capacity = capacity
        self.sound = 0
        """Frames of sound given to the card."""
        self.heard = 0
        """Frames of sound that it has said it is done with."""
        self.silence = 0
        """Frames of silence given to it since the last sound."""
        self._step = step
        self._inside = 0
        self._moved = 0.0

    def look(self, room: int, now: float) -> None:
        """Take note of how many frames the card has room for."""
        inside = max(0, self.capacity - room)
        if inside != self._inside:
            self._inside, self._moved = inside, now
        self.heard = max(self.heard, self.sound - max(0, inside - self.silence))

    def give(self, frames: int, now: float) -> None:
        """So many frames of sound were written."""
        self._add(frames, now)
        self.sound += frames
        self.silence = 0

    def give_silence(self, frames: int, now: float) -> None:
        """So many frames of silence were written."""
        self._add(frames, now)
        self.silence += frames

    def clear(self) -> None:
        """The card has forgotten what it held."""
        self._inside = self.silence = 0
        self.heard = self.sound

    def sound_left(self, now: float) -> int:
        """Frames of sound that are still to be heard."""
        return min(self.sound - self.heard, max(0, self.left(now) - self.silence))

    def is_past(self, frame: int, now: float) -> bool:
        """Whether all sound before a frame was heard, so that to drop what follows cuts nothing off it."""
        past = min(self.sound, frame + round(self.rate * PAST_S)) if frame else 0
        return self.heard >= frame and self.sound - self.sound_left(now) >= past

    def is_out(self, now: float) -> bool:
        """Whether all sound was heard, so that whatever the card is told cuts nothing off."""
        if self.heard < self.sound:
            return False
        left = self.left(now)
        return not left or not self.sound or self.silence - left >= self.rate * SETTLED_S

    def before_sound(self, wanted: int, now: float) -> Before:
        """What stands before the next sound, when there shall be `wanted` frames of silence, or none at all."""
        left = min(self.silence, self.left(now))
        wanted = max(wanted, round(self.rate * SETTLED_S))
        if not left or self.silence <= wanted:
            return Before.NOTHING
        return Before.SILENCE if self.silence - left >= wanted else Before.WANTED

    def wake(self) -> None:
        """Silence counts from now on, unless some is still being played."""
        if not self._inside:
            self.silence = 0

    def _add(self, frames: int, now: float) -> None:
        if not self._inside:
            self._moved = now
        self._inside += frames

    def left(self, now: float) -> int:
        """Frames that it still holds."""
        passed = min(self._step, round((now - self._moved) * self.rate))
        return max(0, self._inside - passed)
