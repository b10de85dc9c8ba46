"""The playout timeline: which frames the device has played, and which it still holds.

All announcements are written to one stream, one directly after the other, so that there is no gap between
them. An announcement is the frame at which it starts; silence is written only if no announcement follows.

    stream   ─── A ───────────────┬─ B ──────────────────────────┬─ silence ──────┬─▶
                                  │           ▲                  │                │
                                start         │ device           │                │
                                frame of B    │ plays here       │                │
                                              │                  │                │
                                         played ◀─ sound_left ─▶ written          │
                                              │                  ◀trailing_silence▶
                                              ◀─────────── frames_left ───────────▶

    daemon            DONE of A: 30 ms   B is drained: all of it was played, and DEVICE_LATENCY_S
                      before its end     of silence after it, so dropping the rest cuts nothing

The device reports its position in steps of one period. Between two steps the clock interpolates, for at most
one step, so that a device that stands still is not taken for one that plays.
"""

from __future__ import annotations

from enum import Enum

#: A sound server takes a frame up to a period before it is audible, and a reset takes it back. This much later
#: it is certainly audible.
DEVICE_LATENCY_S = 0.03
#: The same for a sound that is followed by another sound: cutting its last 20 ms is not audible then, and a
#: stop need not wait for it.
DEVICE_LATENCY_IN_SOUND_S = 0.01


class Gap(Enum):
    """The silence in the device before the next sound."""

    #: No correction, or too little to matter: write the sound.
    NONE = 0
    #: Some of it must still be played: wait.
    NEEDED = 1
    #: Enough was played: drop the rest, then write the sound.
    SURPLUS = 2


class PlayoutTimeline:
    """The frames written to a device that holds `capacity` frames and advances by up to `step` at once.

    All times are monotonic seconds.
    """

    def __init__(self, rate: int = 0, capacity: int = 0, step: int = 0) -> None:
        self.rate = rate
        self.capacity = capacity
        #: Frames of sound written to the device.
        self.written = 0
        #: Frames of sound that the device no longer holds.
        self.played = 0
        #: Frames of silence written after the last sound.
        self.trailing_silence = 0
        self._step = step
        self._held = 0
        self._advanced_at = 0.0

    def update(self, room: int, now: float) -> None:
        """Note how many frames the device has room for."""
        held = max(0, self.capacity - room)
        if held != self._held:
            self._held, self._advanced_at = held, now
        self.played = max(self.played, self.written - max(0, held - self.trailing_silence))

    def add_sound(self, frames: int, now: float) -> None:
        """Note that sound was written."""
        self._add(frames, now)
        self.written += frames
        self.trailing_silence = 0

    def add_silence(self, frames: int, now: float) -> None:
        """Note that silence was written."""
        self._add(frames, now)
        self.trailing_silence += frames

    def drop(self) -> None:
        """Note that the device has dropped what it held."""
        self._held = self.trailing_silence = 0
        self.played = self.written

    def frames_left(self, now: float) -> int:
        """Return the frames, sound and silence, that are still to be played."""
        advanced = min(self._step, round((now - self._advanced_at) * self.rate))
        return max(0, self._held - advanced)

    def sound_left(self, now: float) -> int:
        """Return the frames of sound that are still to be played."""
        return min(self.written - self.played, max(0, self.frames_left(now) - self.trailing_silence))

    def is_played_up_to(self, frame: int, now: float) -> bool:
        """Return whether all sound before `frame` was heard, so that dropping the rest cuts none of it."""
        latency = round(self.rate * DEVICE_LATENCY_IN_SOUND_S)
        heard_at = min(self.written, frame + latency) if frame else 0
        return self.played >= frame and self.written - self.sound_left(now) >= heard_at

    def is_drained(self, now: float) -> bool:
        """Return whether all sound was heard, so that nothing the device is told can cut it."""
        if self.played < self.written:
            return False
        left = self.frames_left(now)
        return not left or not self.written or self.trailing_silence - left >= self.rate * DEVICE_LATENCY_S

    def gap_before_sound(self, lead_in: int, now: float) -> Gap:
        """Return what to do with the trailing silence if at least `lead_in` frames of it must be played."""
        left = min(self.trailing_silence, self.frames_left(now))
        needed = max(lead_in, round(self.rate * DEVICE_LATENCY_S))
        if not left or self.trailing_silence <= needed:
            return Gap.NONE
        return Gap.SURPLUS if self.trailing_silence - left >= needed else Gap.NEEDED

    def start_lead_in(self) -> None:
        """Count silence from now on, unless some is still being played."""
        if not self._held:
            self.trailing_silence = 0

    def _add(self, frames: int, now: float) -> None:
        if not self._held:
            self._advanced_at = now
        self._held += frames
