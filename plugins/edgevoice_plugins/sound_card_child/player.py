"""Plays frames on the card, and says how many were heard.

It never waits in a write, so that a stop overtakes all that is still to be played; a sound server that
blocks it all the same is cured from outside, by SIGKILL.
"""

from __future__ import annotations

import select
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice_plugins.sound_card_child import wire
from edgevoice_plugins.sound_card_child.card import Card

if TYPE_CHECKING:
    import socket

TAIL_S = 0.1
"""Silence behind the last frame: closing a stream cuts 28 to 47 ms."""
IDLE_S = 5.0
"""Without an announcement for so long, the stream is closed."""
STARVED_S = 0.1
"""A card may keep less than a period to itself until more comes; after so long it is pushed out with silence."""
NAP_MS = 10


class Player:
    """Plays one announcement after the other, as the daemon tells it through `line`."""

    def __init__(self, line: socket.socket, device: str) -> None:
        self._line = line
        self._card = Card(device)
        self._playing = self._ending = False
        self._queue = bytearray()
        self._handed = self._heard = 0
        self._silence = 0
        """Frames of silence behind the last one handed."""
        self._changed = monotonic()
        self._messages = {
            wire.START: self._start,
            wire.AUDIO: self._audio,
            wire.END: self._end,
            wire.STOP: self._stop,
            wire.TRY: self._try,
        }

    def run(self) -> None:
        """Play until the daemon is gone.

        Raises:
            CardLost: the card cannot be used.
        """
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        while True:
            if poll.poll(self._nap()):
                message = self._line.recv(wire.LARGEST)
                if not message:
                    return
                self._messages[message[:1]](message)
            if self._playing:
                self._play()
            elif self._card.is_open and monotonic() - self._changed >= IDLE_S:
                self._card.close()

    def _nap(self) -> float | None:
        """Milliseconds until there is something to do without being told."""
        if self._playing:
            return NAP_MS if self._queue or self._ending or self._heard < self._handed else None
        if self._card.is_open:
            return max(0.0, self._changed + IDLE_S - monotonic()) * 1000 + 1
        return None

    def _start(self, message: bytes) -> None:
        (rate,) = wire.numbers(message)
        self._card.open(rate)
        self._queue.clear()
        self._handed = self._heard = 0
        self._playing, self._ending = True, False
        self._changed = monotonic()
        self._say(wire.pack(wire.OPENED, self._card.capacity))

    def _audio(self, message: bytes) -> None:
        self._queue += message[1:]

    def _end(self, message: bytes) -> None:  # noqa: ARG002 - as the others
        self._ending = True

    def _stop(self, message: bytes) -> None:  # noqa: ARG002
        if self._playing:
            self._listen(self._card.room())
            self._card.reset()
        self._silence = 0
        self._rest()
        self._say(wire.pack(wire.STOPPED, self._handed, self._heard))

    def _try(self, message: bytes) -> None:
        (rate,) = wire.numbers(message)
        was_open = self._card.is_open
        self._card.open(rate)
        if not was_open:
            self._card.close()
        self._say(wire.pack(wire.OPENED, self._card.capacity))

    def _rest(self) -> None:
        self._playing = self._ending = False
        self._changed = monotonic()

    def _play(self) -> None:
        before = self._handed, self._heard
        room = self._card.room()
        room -= self._hand(room)
        room -= self._hand_silence(room)
        self._listen(room)
        if (self._handed, self._heard) != before:
            self._changed = monotonic()
            self._say(wire.pack(wire.HEARD, self._handed, self._heard))
        if self._ending and not self._queue and self._heard == self._handed:
            self._rest()
            self._say(wire.DONE)

    def _hand(self, room: int) -> int:
        pcm = bytes(self._queue[: room * wire.BYTES_PER_FRAME])
        if not pcm:
            return 0
        self._card.write(pcm)
        del self._queue[: len(pcm)]
        frames = len(pcm) // wire.BYTES_PER_FRAME
        self._handed += frames
        self._silence = 0
        return frames

    def _hand_silence(self, room: int) -> int:
        """The tail at the end; in a gap what pushes the last frames out."""
        if self._queue or self._heard == self._handed:
            return 0
        if self._ending:
            frames = min(room, round(self._card.rate * TAIL_S) - self._silence)
        elif monotonic() - self._changed > STARVED_S:
            frames = min(room, round(self._card.rate * wire.PERIOD_S))
        else:
            return 0
        if frames > 0:
            self._card.write(bytes(frames * wire.BYTES_PER_FRAME))
            self._silence += frames
        return max(0, frames)

    def _listen(self, room: int) -> None:
        """Work out what was heard: all but what the card still holds, of which the last is silence."""
        held = max(0, self._card.capacity - room - self._silence)
        self._heard = max(self._heard, self._handed - held)

    def _say(self, message: bytes) -> None:
        self._line.send(message)
