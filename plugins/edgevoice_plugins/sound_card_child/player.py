"""Plays announcements on the card without a gap between them, and reports how many frames were played.

States of the player; messages in capitals are those of `wire`:

               START            END              <= 30 ms left: DONE
        IDLE ────────▶ PLAYING ──────▶ ENDING ───────────────────────▶ DRAINING
         ▲ ▲ ◀── (1) ──┘   │             │                              │    │
         │ │               └── STOP ──┬──┘                              │    └─ START ─▶ PLAYING
         │ │                          ▼                                 │
         │ └──────── STOPPED ──── STOPPING                              │
         └───────────────── last frame played: DRAINED ─────────────────┘

    (1) A STOP before the first frame was written is answered by STOPPED at once.

In STOPPING the end of the previous announcement is played first. After `IDLE_CLOSE_S` in IDLE the stream is
closed. In every state the process ends if the card is lost (LOST), if the daemon is gone, or if the daemon kills
it because it makes no progress; the daemon then starts another, see `sound_card/process.py`.

The player never blocks in a write, so that a STOP overtakes the audio that is still queued. A sound server
that blocks nevertheless can only be dealt with from outside, by SIGKILL.
"""

from __future__ import annotations

import select
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice_plugins.sound_card_child import wire
from edgevoice_plugins.sound_card_child.card import Card, CardLostError
from edgevoice_plugins.sound_card_child.timeline import Gap, PlayoutTimeline

if TYPE_CHECKING:
    import socket

#: If less than this remains between announcements, write one period of silence, until the last sound was heard:
#: a stream that underruns or is closed cuts off its last 28 to 47 ms.
UNDERRUN_GUARD_S = 0.012
#: The stream is closed after this long without an announcement.
IDLE_CLOSE_S = 5.0
#: A card may hold back less than a period until more arrives. After this long, push it out with silence.
STARVED_S = 0.1
POLL_MS = 10
#: Poll interval where one sound ends and the next may follow: each millisecond late is a gap.
FAST_POLL_MS = 3


class State(Enum):
    """The player's work on the current announcement; see the diagram above."""

    IDLE = 0
    PLAYING = 1
    ENDING = 2
    STOPPING = 3
    DRAINING = 4


class Player:
    """Plays one announcement after the other, as the daemon commands through `connection`."""

    def __init__(self, connection: socket.socket, device: str) -> None:
        self._connection = connection
        self._device = DeviceQueue(device)
        self._state = State.IDLE
        self._rate = 0
        #: Frame of the timeline at which the current announcement starts.
        self._start_frame = 0
        #: Frames of silence that must still precede the first sound.
        self._lead_in = 0
        self._queue = bytearray()
        self._reported = (0, 0)
        #: When audio last arrived or progressed, or the state changed; monotonic seconds.
        self._changed_at = monotonic()

    def run(self) -> None:
        """Play until the daemon is gone.

        Raises:
            CardLostError: The card cannot be used.
        """
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        try:
            while True:
                if poll.poll(self._poll_ms()):
                    message = self._connection.recv(wire.MAX_MESSAGE_BYTES)
                    if not message:
                        return
                    self._handle(message)
                if self._has_work:
                    self._work()
                elif self._can_close and monotonic() - self._changed_at >= IDLE_CLOSE_S:
                    self._device.card.close()
        except CardLostError:
            if self._has_announcement:
                self._send(wire.POSITION, *self._position)  # the next process continues there
            raise

    def _poll_ms(self) -> float | None:
        """Return for how long to wait for a message; None for as long as it takes."""
        if self._has_work:
            return FAST_POLL_MS if self._is_at_boundary else POLL_MS
        if self._can_close:
            return max(0.0, self._changed_at + IDLE_CLOSE_S - monotonic()) * 1000 + 1
        return None

    @property
    def _has_announcement(self) -> bool:
        return self._state in (State.PLAYING, State.ENDING, State.STOPPING)

    @property
    def _has_work(self) -> bool:
        if self._state in (State.ENDING, State.STOPPING, State.DRAINING) or not self._device.is_drained:
            return True
        return self._state is State.PLAYING and bool(
            self._queue or self._lead_in or not self._device.is_open(self._rate)
        )

    @property
    def _can_close(self) -> bool:
        return self._device.card.is_open and not self._has_announcement

    @property
    def _is_at_boundary(self) -> bool:
        """Whether one sound ends and another may follow."""
        if self._state is State.STOPPING:
            return True
        if self._queue:
            return self._device.is_waiting
        return (self._has_no_sound or self._state is State.ENDING) and not self._lead_in

    @property
    def _has_no_sound(self) -> bool:
        """Whether no sound of the current announcement was written."""
        return not self._has_announcement or self._device.timeline.written == self._start_frame

    def _handle(self, message: bytes) -> None:
        kind, first, second = wire.HEADER.unpack_from(message)
        if kind == wire.START:
            self._start(rate=first, lead_in=second)
        elif kind == wire.AUDIO and self._state is State.PLAYING:
            self._queue += message[wire.HEADER.size :]
            self._changed_at = monotonic()  # `STARVED_S` counts from the last audio, not from the start
        elif kind == wire.END and self._state is State.PLAYING:
            self._enter(State.ENDING)
        elif kind == wire.STOP:
            self._stop()
        elif kind == wire.PROBE:
            self._probe(rate=first)

    def _start(self, rate: int, lead_in: int) -> None:
        self._rate, self._lead_in = rate, lead_in
        self._queue.clear()
        self._start_frame, self._reported = self._device.timeline.written, (0, 0)
        self._enter(State.PLAYING)
        if self._device.is_open(rate):
            if lead_in:
                self._device.update()
                self._device.timeline.start_lead_in()
            self._send_opened()

    def _stop(self) -> None:
        self._queue.clear()
        if not self._has_announcement:  # it has just ended
            self._send(wire.STOPPED, *self._position)
        elif self._has_no_sound:
            self._finish_stop(self._position)
        else:
            self._enter(State.STOPPING)

    def _probe(self, rate: int) -> None:
        if not self._device.card.is_open:
            self._device.open(rate)
            self._device.card.close()
        self._send_opened()

    def _enter(self, state: State) -> None:
        self._state = state
        self._changed_at = monotonic()

    def _work(self) -> None:
        device = self._device
        # Another rate needs another stream, which would cut the end of the previous announcement.
        if (
            self._has_announcement
            and not device.is_open(self._rate)
            and (device.is_drained or not device.card.is_open)
        ):
            device.open(self._rate)
            self._start_frame = 0
            self._send_opened()
        device.update()
        if self._state is State.STOPPING:
            self._stop_if_possible()
            return
        if device.is_open(self._rate):
            self._write_sound()
        if not self._queue:
            device.write_silence(self._silence_needed())
        self._report()

    def _write_sound(self) -> None:
        """Write the lead-in, which goes on until there is sound, then the sound."""
        device = self._device
        if self._lead_in:
            missing = self._lead_in - device.timeline.trailing_silence
            device.write_silence(missing if self._queue else device.room)
        if device.write_sound(self._queue, self._lead_in):
            self._lead_in = 0

    def _silence_needed(self) -> int:
        """Return frames of silence to write after a sound, or to push out its last frames in an underrun."""
        device = self._device
        if device.is_drained:
            return 0
        if self._has_no_sound:
            left = device.timeline.frames_left(device.now)
            return device.period if left <= device.timeline.rate * UNDERRUN_GUARD_S else 0
        is_starved = self._state is not State.ENDING and device.now - self._changed_at > STARVED_S
        return device.period if is_starved else 0

    def _stop_if_possible(self) -> None:
        """Drop the sound of this announcement, once the previous one was heard to its end."""
        if self._device.timeline.is_played_up_to(self._start_frame, self._device.now):
            position = self._position
            self._device.drop()
            self._finish_stop(position)

    def _finish_stop(self, position: tuple[int, int]) -> None:
        self._lead_in = 0
        self._enter(State.IDLE)
        self._send(wire.STOPPED, *position)

    @property
    def _position(self) -> tuple[int, int]:
        """Frames of this announcement that were written to the card, and played."""
        timeline = self._device.timeline
        return timeline.written - self._start_frame, max(0, timeline.played - self._start_frame)

    @property
    def _must_report(self) -> bool:
        """Whether the daemon must know the position now; each report wakes it up."""
        if not self._has_announcement or self._position == self._reported:
            return False
        written, played = self._reported
        is_underrun = self._state is State.PLAYING and not self._queue
        return not written or is_underrun or self._position[1] - played >= self._rate * wire.REPORT_S

    def _report(self) -> None:
        device = self._device
        if self._must_report:
            self._reported = self._position
            self._changed_at = device.now
            self._send(wire.POSITION, *self._reported)
        left = device.timeline.sound_left(device.now)
        if (
            self._state is State.ENDING
            and not self._queue
            and left <= device.timeline.rate * wire.DONE_EARLY_S
        ):
            self._lead_in = 0
            self._enter(State.DRAINING)
            self._send(wire.DONE)
        if self._state is State.DRAINING and device.is_drained:
            self._enter(State.IDLE)
            self._send(wire.DRAINED)

    def _send_opened(self) -> None:
        self._send(wire.OPENED, payload=self._device.card.name.encode())

    def _send(self, kind: bytes, first: int = 0, second: int = 0, payload: bytes = b"") -> None:
        self._connection.send(wire.HEADER.pack(kind, first, second) + payload)


class DeviceQueue:
    """The audio queue of one card, which is written without blocking; a new timeline each time the card is opened.

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
