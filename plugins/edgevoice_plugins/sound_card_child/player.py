"""Plays frames on the card, one announcement right behind the other, and says how many were heard.

It never waits in a write, so that a stop overtakes all that is still to be played; a sound server that
blocks it all the same is cured from outside, by SIGKILL.
"""

from __future__ import annotations

import select
from time import monotonic
from typing import TYPE_CHECKING

from edgevoice_plugins.sound_card_child import wire
from edgevoice_plugins.sound_card_child.deck import Deck

if TYPE_CHECKING:
    import socket

BRINK_S = 0.012
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

    All their sound lies on one tape, so that nothing separates them; an announcement begins at a frame of it.
    """

    def __init__(self, line: socket.socket, device: str) -> None:
        self._line = line
        self._deck = Deck(device)
        self._rate = self._begun = self._lead = 0
        self._playing = self._ending = self._stopping = self._fading = False
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
            elif self._is_idle and monotonic() - self._changed >= IDLE_S:
                self._deck.card.close()

    def _nap(self) -> float | None:
        """Milliseconds until there is something to do without being told."""
        if self._has_work:
            return SHORT_NAP_MS if self._is_close else NAP_MS
        if self._is_idle:
            return max(0.0, self._changed + IDLE_S - monotonic()) * 1000 + 1
        return None

    @property
    def _has_work(self) -> bool:
        if self._fading or not self._deck.is_out:
            return True
        return self._playing and bool(
            self._queue or self._ending or self._lead or not self._deck.is_open(self._rate)
        )

    @property
    def _is_idle(self) -> bool:
        return self._deck.card.is_open and not self._playing

    @property
    def _is_close(self) -> bool:
        """Whether one sound ends and another may follow."""
        if self._stopping or self._queue:
            return self._stopping or self._deck.waits
        return (self._is_between or self._ending) and not self._lead

    @property
    def _is_between(self) -> bool:
        """Whether all sound so far is that of announcements before."""
        return not self._playing or self._deck.tape.sound == self._begun

    def _start(self, message: bytes) -> None:
        self._rate, self._lead = wire.numbers(message)
        self._queue.clear()
        self._playing, self._ending, self._fading = True, False, False
        self._begun, self._told = self._deck.tape.sound, (0, 0)
        self._changed = monotonic()
        if not self._deck.is_open(self._rate):
            return
        if self._lead:
            self._deck.look()
            self._deck.tape.wake()
        self._say_opened()

    def _audio(self, message: bytes) -> None:
        self._queue += message[1:]
        self._changed = monotonic()  # starved is who waits for more since this, not since the start

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
        if not self._deck.card.is_open:
            self._deck.open(rate)
            self._deck.card.close()
        self._say_opened()

    def _work(self) -> None:
        deck = self._deck
        if self._playing and not deck.is_open(self._rate) and (deck.is_out or not deck.card.is_open):
            deck.open(self._rate)
            self._begun = 0
            self._say_opened()
        deck.look()
        if self._stopping:
            self._cut()
            return
        if deck.is_open(self._rate):
            self._give()
        if not self._queue:
            deck.give_silence(self._silence_wanted)
        self._report()

    def _give(self) -> None:
        """The silence that wakes the card, which goes on until there is sound, then the sound."""
        deck = self._deck
        if self._lead:
            deck.give_silence(self._lead - deck.tape.silence if self._queue else deck.room)
        if deck.give(self._queue, self._lead):
            self._lead = 0

    @property
    def _silence_wanted(self) -> int:
        """Frames of silence: the tail between announcements; in a gap what pushes the last frames out."""
        deck = self._deck
        if deck.is_out:
            return 0
        if self._is_between:
            return deck.period if deck.tape.left(deck.now) <= deck.tape.rate * BRINK_S else 0
        return deck.period if not self._ending and deck.now - self._changed > STARVED_S else 0

    def _cut(self) -> None:
        """Forget this announcement's sound, once the one before it was heard to its end."""
        if self._deck.tape.is_past(self._begun, self._deck.now):
            position = self._position
            self._deck.forget()
            self._stopped(position)

    def _stopped(self, position: tuple[int, int]) -> None:
        self._rest()
        self._say(wire.pack(wire.STOPPED, *position))

    def _rest(self) -> None:
        self._playing = self._ending = self._stopping = False
        self._lead = 0
        self._changed = monotonic()

    @property
    def _position(self) -> tuple[int, int]:
        """Frames of this announcement that were given to the card, and heard."""
        tape = self._deck.tape
        return tape.sound - self._begun, max(0, tape.heard - self._begun)

    def _report(self) -> None:
        if self._playing and self._position != self._told:
            self._told = self._position
            self._changed = self._deck.now
            self._say(wire.pack(wire.HEARD, *self._told))
        left = self._deck.tape.sound_left(self._deck.now)
        if self._ending and not self._queue and left <= self._deck.tape.rate * wire.EARLY_S:
            self._rest()
            self._fading = True
            self._say(wire.DONE)
        if self._fading and self._deck.is_out:
            self._fading = False
            self._say(wire.OUT)

    def _say_opened(self) -> None:
        self._say(wire.pack(wire.OPENED, self._deck.tape.capacity) + self._deck.card.name.encode())

    def _say(self, message: bytes) -> None:
        self._line.send(message)
