"""What waits and what is held on one speaker, and what time and its switches do to both."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from edgevoice.outcome import EventType
from edgevoice.speaker.backlog import Backlog
from edgevoice.speaker.held import Held
from edgevoice.speaker.rules import replaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgevoice.announcement import Announcement
    from edgevoice.speaker.ledger import Ledger
    from edgevoice.speaker.presence import SpeakerSettings
    from edgevoice.speaker.turn import Turn


class Waiting:
    """Keeps turns until they are taken; times are monotonic seconds. `closed`, it keeps nothing more."""

    def __init__(self, presence: SpeakerSettings, ledger: Ledger) -> None:
        manners = presence.manners
        self.backlog = Backlog(manners.queue)
        self.held = Held(manners.digest_keep, manners.queue)
        self.posture = presence.posture
        self.closed = False
        self._presence = presence
        self._ledger = ledger
        self._numbers = itertools.count(1)

    def __iter__(self) -> Iterator[Turn]:
        return itertools.chain(self.backlog, self.held)

    def has(self, name: str) -> bool:
        """Whether an announcement with this id waits or is held."""
        return self.backlog.has(name) or any(turn.announcement.id == name for turn in self.held)

    def next_number(self) -> int:
        """A number higher than all before."""
        return next(self._numbers)

    def keep(self, turn: Turn, now: float) -> None:
        """Let a turn wait, or hold it."""
        turn.done = None
        if self.closed:
            self._ledger.lose(turn, now)
        elif self.why_held(turn, now) is not None:
            self._hold(turn, now)
        elif turn.interrupted and self.backlog.is_full_of_interrupted():
            self._ledger.end(turn, EventType.CANCELLED, "overflow", now)
        elif (given_up := self.backlog.add(turn)) is not None:
            self._ledger.give_up(given_up, now)

    def put_first(self, turn: Turn, now: float) -> None:
        """Put a turn that waits before all others of its urgency."""
        if self.backlog.take_if(lambda waiting: waiting is turn):
            turn.precedence = self.next_number()
            self.keep(turn, now)

    def next(self, now: float) -> Turn | None:
        """Take out the one to be said next."""
        if (turn := self.backlog.first(now)) is not None:
            self.backlog.remove(turn)
        return turn

    def why_held(self, turn: Turn, now: float) -> str | None:
        """Why a turn may not be said now.

        None before it is due, since all may be different by then; and quiet hours keep nothing back that
        has begun.
        """
        if turn.own or turn.due > now:
            return None
        posture = self.posture
        if turn.sounds or turn.interrupted:
            posture = dataclasses.replace(posture, quiet=False)
        return posture.holds(turn.announcement.urgency)

    def look(self, now: float) -> None:
        """See what time and the switches have changed: what is stale, and what is to be held."""
        before, self.posture = self.posture, self._presence.posture
        changes = self.posture != before or self.backlog.changes(now)
        self._ledger.end_all(self.backlog.expired(now), EventType.EXPIRED, "ttl", now)
        self._ledger.end_all(self.held.expired(now), EventType.EXPIRED, "held too long", now)
        if changes:
            for turn in self.backlog.take_if(lambda turn: self.why_held(turn, now) is not None):
                self._hold(turn, now)

    def release(self, now: float) -> None:
        """Let those that are held go on, as far as they may."""
        for turn in self.held.take_if(lambda turn: turn.read_by is None and self.why_held(turn, now) is None):
            turn.release(now)
            self.keep(turn, now)

    def give_place(self, turn: Turn, now: float) -> None:
        """A newer turn takes the place of the older ones of its tag."""
        if turn.announcement.tag is None:
            return

        def older(other: Turn) -> bool:
            return replaces(turn.announcement, other.announcement)

        for other in [*self.backlog.take_if(older), *self.held.take_if(older)]:
            if other.announcement.urgency is turn.announcement.urgency:
                turn.number = min(turn.number, other.number)
                turn.precedence = max(turn.precedence, other.precedence)
            self.replace(other, turn.announcement, now)

    def replace(self, turn: Turn, newer: Announcement, now: float) -> None:
        """End a turn whose place another has taken."""
        if newer.resolves and turn.announcement.repeat is not None:
            self._ledger.end(turn, EventType.FINISHED, "resolved", now)
        else:
            self._ledger.end(turn, EventType.REPLACED, f"by {newer.id}", now)

    def close(self, now: float) -> None:
        """Keep nothing more; what waits or is held is lost, unless a restart brings it back."""
        self.closed = True
        for turn in [*self.backlog.take_if(lambda _: True), *self.held.take_if(lambda _: True)]:
            self._ledger.lose(turn, now)

    def next_change(self) -> float | None:
        """When, without anything happening, time itself changes something next."""
        moments = (self.backlog.next_change(), self.held.next_expiry(), self._presence.next_change)
        return min((moment for moment in moments if moment is not None), default=None)

    def _hold(self, turn: Turn, now: float) -> None:
        turn.speech.cancel_prefetch()
        given_up = self.held.add(turn, now)
        self._ledger.tell(turn, EventType.HELD, self.why_held(turn, now))
        if given_up is not None:
            self._ledger.give_up(given_up, now)
