"""Plays frames on the card, one announcement right behind the other, and says how many were heard.

It never waits in a write, so that a stop overtakes all that is still to be played; a sound server that
blocks it all the same is cured from outside, by SIGKILL.
"""

from __future__ import annotations

import select
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice_plugins.sound_card_child import wire
from edgevoice_plugins.sound_card_child.card import Card
from edgevoice_plugins.sound_card_child.tape import Before, Tape

if TYPE_CHECKING:
    import socket

BRINK_S = 0.008
"""With so little left between announcements a period of silence is given, until the last sound was heard:
closing a stream cuts 28 to 47 ms."""
IDLE_S = 5.0
"""Without an announcement for so long, the stream is closed."""
STARVED_S = 0.1
"""A card may keep less than a period to itself until more comes; after so long it is pushed out with silence."""
NAP_MS = 10
SHORT_NAP_MS = 3
"""Where one sound ends and the next may follow, a millisecond counts."""


class Player:
    """Plays one announcement after the other, as the daemon tells it through `line`.

    Each frame belongs to one `Tape`, which goes on from one announcement to the next; an announcement begins
    at a frame of it.
    """

    def __init__(self, line: socket.socket, device: str) -> None:
        self._line = line
        self._card = Card(device)
        self._tape = Tape()
        self._rate = self._begun = self._lead = 0
        self._playing = self._ending = self._stopping = False
        self._fading = self._waiting = False
        self._queue = bytearray()
        self._told = (0, 0)
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
            if self._has_work:
                self._work()
            elif self._card.is_open and not self._playing and monotonic() - self._changed >= IDLE_S:
                self._card.close()

    def _nap(self) -> float | None:
        """Milliseconds until there is something to do without being told."""
        if self._has_work:
            return SHORT_NAP_MS if self._is_close else NAP_MS
        if self._card.is_open and not self._playing:
            return max(0.0, self._changed + IDLE_S - monotonic()) * 1000 + 1
        return None

    @property
    def _has_work(self) -> bool:
        """Whether anything is to be done without being told."""
        if self._fading or not self._is_out:
            return True
        return self._playing and bool(self._queue or self._ending or self._lead or not self._is_open)

    @property
    def _is_close(self) -> bool:
        """Whether one sound ends and another may follow."""
        if self._queue:
            return self._waiting or self._stopping
        return (self._is_between or self._ending or self._stopping) and not self._lead

    @property
    def _is_between(self) -> bool:
        """Whether all sound so far is that of announcements before."""
        return not self._playing or self._tape.sound == self._begun

    @property
    def _is_open(self) -> bool:
        return self._card.is_open and self._tape.rate == self._rate

    def _start(self, message: bytes) -> None:
        self._rate, self._lead = wire.numbers(message)
        self._queue.clear()
        self._playing, self._ending, self._fading = True, False, False
        self._begun, self._told = self._tape.sound, (0, 0)
        self._changed = monotonic()
        if not self._is_open:
            return
        if self._lead:
            self._tape.look(self._card.room(), monotonic())
            self._tape.wake()
        self._say(wire.pack(wire.OPENED, self._tape.capacity))

    def _audio(self, message: bytes) -> None:
        self._queue += message[1:]

    def _end(self, message: bytes) -> None:  # noqa: ARG002 - as the others
        self._ending = True

    def _stop(self, message: bytes) -> None:  # noqa: ARG002
        self._queue.clear()
        if self._is_between:
            self._stopped((0, 0))
        else:
            self._stopping = True

    def _try(self, message: bytes) -> None:
        (rate,) = wire.numbers(message)
        if not self._card.is_open:
            self._open(rate)
            self._card.close()
        self._say(wire.pack(wire.OPENED, self._tape.capacity))

    def _work(self) -> None:
        now = monotonic()
        if self._playing and not self._is_open and (not self._card.is_open or self._is_out):
            self._open(self._rate)
            self._say(wire.pack(wire.OPENED, self._tape.capacity))
        room = self._card.room()
        self._tape.look(room, now)
        if self._stopping:
            self._cut(now)
            return
        if self._is_open:
            room -= self._give_lead(room, now)
            room -= self._give(room, now)
        if not self._queue:
            self._give_silence(min(room, self._silence_wanted(now)), now)
        self._report(now)

    @property
    def _is_out(self) -> bool:
        """Whether all sound so far was heard, and nothing cuts the last of it any more."""
        return self._tape.is_out(monotonic())

    def _open(self, rate: int) -> None:
        self._card.open(rate)
        self._tape = Tape(rate, self._card.capacity, round(rate * wire.PERIOD_S))
        self._begun = 0

    def _cut(self, now: float) -> None:
        """Forget this announcement's sound, once the one before it was heard to its end."""
        if self._tape.sound - self._tape.sound_left(now) < self._begun:
            return
        position = self._position
        self._card.reset()
        self._tape.clear()
        self._stopped(position)

    def _stopped(self, position: tuple[int, int]) -> None:
        self._rest()
        self._say(wire.pack(wire.STOPPED, *position))

    def _rest(self) -> None:
        self._playing = self._ending = self._stopping = self._waiting = False
        self._lead = 0
        self._changed = monotonic()

    def _give_lead(self, room: int, now: float) -> int:
        """The silence that wakes the card; it goes on until there is sound."""
        if not self._lead:
            return 0
        return self._give_silence(min(room, self._lead - self._tape.silence) if self._queue else room, now)

    def _give(self, room: int, now: float) -> int:
        """Sound, with no silence before it that nobody wants."""
        if not self._queue or self._tape.silence < self._lead:
            return 0
        before = self._tape.before_sound(self._lead, now)
        self._waiting = before is Before.WANTED
        if self._waiting:
            return 0
        if before is Before.SILENCE:
            self._card.reset()
            self._tape.clear()
            room = self._tape.capacity
        pcm = bytes(self._queue[: room * wire.BYTES_PER_FRAME])
        if not pcm:
            return 0
        self._card.write(pcm)
        del self._queue[: len(pcm)]
        self._lead = 0
        frames = len(pcm) // wire.BYTES_PER_FRAME
        self._tape.give(frames, now)
        return frames

    def _silence_wanted(self, now: float) -> int:
        """Frames of silence: the tail between announcements; in a gap what pushes the last frames out."""
        tape = self._tape
        if self._is_out:
            return 0
        period = round(tape.rate * wire.PERIOD_S)
        if self._is_between:
            return period if tape.left(now) <= tape.rate * BRINK_S else 0
        return period if not self._ending and now - self._changed > STARVED_S else 0

    def _give_silence(self, frames: int, now: float) -> int:
        if frames <= 0:
            return 0
        self._card.write(bytes(frames * wire.BYTES_PER_FRAME))
        self._tape.give_silence(frames, now)
        return frames

    @property
    def _position(self) -> tuple[int, int]:
        """Frames of this announcement that were given to the card, and heard."""
        return self._tape.sound - self._begun, max(0, self._tape.heard - self._begun)

    def _report(self, now: float) -> None:
        if self._fading and self._is_out:
            self._fading = False
            self._say(wire.OUT)
        if not self._playing:
            return
        if self._position != self._told:
            self._told = self._position
            self._changed = now
            self._say(wire.pack(wire.HEARD, *self._told))
        if self._ending and not self._queue and self._tape.sound_left(now) <= self._tape.rate * wire.EARLY_S:
            self._rest()
            self._fading = True
            self._say(wire.DONE)

    def _say(self, message: bytes) -> None:
        self._line.send(message)
