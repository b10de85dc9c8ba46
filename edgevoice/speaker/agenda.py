"""What one speaker has to say: what becomes of all that arrives, without a clock, a loop or a sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice import words
from edgevoice.announcement import Urgency
from edgevoice.outcome import EventType
from edgevoice.speaker import held
from edgevoice.speaker.floor import Floor
from edgevoice.speaker.ledger import Ledger
from edgevoice.speaker.turn import Turn
from edgevoice.speaker.waiting import Waiting
from edgevoice.synthesis.gate import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgevoice.announcement import Announcement
    from edgevoice.speaker.presence import SpeakerSettings
    from edgevoice.synthesis.speech import SpeechJob


class Agenda:
    """The rules of one speaker as a state machine; times are monotonic seconds.

    `tell` takes each step of each turn. `speech_of` makes the speech of what the daemon itself has to say,
    `escalate` takes an alert on to further targets. After anything that is done to it, `floor` tells what is
    to become of what is being said.
    """

    def __init__(
        self,
        name: str,
        presence: SpeakerSettings,
        *,
        tell: Callable[[Turn, EventType, str | None], None],
        speech_of: Callable[[Announcement], SpeechJob],
        escalate: Callable[[Announcement], None],
    ) -> None:
        self.ledger = Ledger(tell)
        self.waiting = Waiting(presence, self.ledger)
        self.floor = Floor(presence, self.waiting, self.ledger, escalate)
        self._name = name
        self._presence = presence
        self._speech_of = speech_of
        self._digests: list[Turn] = []

    def add(self, speech: SpeechJob, now: float) -> None:
        """Accept an announcement; from here on it ends in exactly one outcome, unless it is a duplicate."""
        self.look(now)
        turn = self._turn(speech)
        if self._is_duplicate(turn, now):
            return
        self.ledger.tell(turn, EventType.QUEUED)
        if self.floor.joins(turn.announcement):
            self.ledger.end(turn, EventType.REPLACED, "the same is being said", now)
            return
        self.floor.supersede(turn.announcement)
        self.waiting.give_place(turn, now)
        self.waiting.keep(turn, now)
        self.floor.consider(now)

    def refuse(self, speech: SpeechJob, step: EventType, reason: str, now: float) -> None:
        """End an announcement that is not even queued; a duplicate has its outcome already."""
        turn = self._turn(speech)
        if not self._is_duplicate(turn, now):
            self.ledger.end(turn, step, reason, now)

    def stop(self, what: str, now: float) -> None:
        """Stop what is being said and all it interrupted (""), everything ("all"), or an id, else a tag."""
        turns = self._all
        if what == "":
            wanted = _displaced_by(self.floor.current, turns)
        elif what == "all":
            wanted = turns
        else:
            wanted = [turn for turn in turns if turn.announcement.id == what]
            wanted = wanted or [turn for turn in turns if turn.announcement.tag == what]
        self._end(wanted, EventType.CANCELLED, "stop", now)

    def acknowledge(self, what: str, now: float) -> bool:
        """End every alert that insists (""), or the one with this id; whether there was one."""
        wanted = [
            turn
            for turn in self._all
            if turn.announcement.repeat is not None and what in ("", turn.announcement.id)
        ]
        self._end(wanted, EventType.FINISHED, "acknowledged", now)
        return bool(wanted)

    def read_digest(self, now: float) -> None:
        """Read the held ones now, as many as one digest takes in."""
        unread = self.waiting.held.unread()
        items = held.merged(unread)
        read = held.as_many_as_fit(items)
        if not read or self.waiting.closed:
            return
        text = held.digest_of(read, len(items) - len(read), self._name, self._language, now)
        digest = self._own(text, now)
        tags = {turn.announcement.tag for turn in read} - {None}
        for turn in unread:
            if turn in read or turn.announcement.tag in tags:
                turn.read_by = digest
        self._digests.append(digest)

    def look(self, now: float) -> None:
        """See what time has changed: quiet hours, switches, what is stale or was held too long."""
        before = self.waiting.posture
        self.waiting.look(now)
        posture, digest = self.waiting.posture, self._presence.manners.digest
        if (posture.mute and not before.mute) or (posture.dnd and not before.dnd):
            self._end([turn for turn in self._all if turn.own], EventType.CANCELLED, "stop", now)
        self.floor.look(now)
        self._close_digests(now)
        if digest == "off":
            self.waiting.release(now)
        elif before.holds(Urgency.NORMAL) and not posture.holds(Urgency.NORMAL):
            self._holding_ended(digest, now)
        self.floor.consider(now)

    def close(self, now: float, survives: Callable[[Announcement], bool]) -> None:
        """Take nothing more; what waits or is held is lost, unless it `survives`: a restart brings it back."""
        self.ledger.survives = survives
        self.waiting.close(now)

    def take(self, now: float) -> Turn | None:
        """Give the floor to the next one."""
        self.look(now)
        return self.floor.take(now)

    def coming(self, now: float) -> Iterator[tuple[Turn, Priority, float]]:
        """What is to be made: what is being said, and what is next; how much it is needed, and by when."""
        need, by = Priority.NEEDED_NOW, now
        if (current := self.floor.current) is not None:
            yield current, need, by
            if not self.floor.pausing and self.floor.verdict is None:
                need, by = Priority.PREFETCH, now + current.left_s
        for turn in self.waiting.backlog.coming(now):
            yield turn, need, by
            need, by = Priority.PREFETCH, by + turn.left_s

    def conclude(self, now: float, *, cancelled: bool = False, failure: str | None = None) -> None:
        """What was being said is no longer played: `cancelled` for a verdict, or with a `failure`."""
        self.floor.conclude(now, cancelled=cancelled, failure=failure)
        self._close_digests(now)

    def next_change(self) -> float | None:
        """Before when, without anything happening, time itself changes nothing."""
        moments = (self.waiting.next_change(), self.floor.next_change())
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def _language(self) -> str:
        return self._presence.manners.language

    def _turn(self, speech: SpeechJob, *, own: bool = False) -> Turn:
        volume = self._presence.loudness(speech.announcement)
        return Turn(speech, self._name, self.waiting.next_number(), volume, own=own)

    def _own(self, announcement: Announcement, now: float) -> Turn:
        """Let the daemon itself say something."""
        turn = self._turn(self._speech_of(announcement), own=True)
        self.ledger.tell(turn, EventType.QUEUED)
        self.waiting.give_place(turn, now)
        self.waiting.keep(turn, now)
        self.floor.consider(now)
        return turn

    @property
    def _all(self) -> list[Turn]:
        current = self.floor.current
        return [*self.waiting, *([current] if current else [])]

    def _is_duplicate(self, turn: Turn, now: float) -> bool:
        """Whether its id waits, is held, is being said or finished lately; then that is told, and no more."""
        name = turn.announcement.id
        known = self.floor.is_said(name) or self.ledger.has_finished(name, now) or self.waiting.has(name)
        if known:
            self.ledger.tell(turn, EventType.DUPLICATE)
            turn.speech.leave()
        return known

    def _end(self, turns: list[Turn], step: EventType, reason: str, now: float) -> None:
        """End turns wherever they are; the one that is being said once it is silent."""
        if self.floor.current in turns:
            self.floor.cut(step, reason)
        self.waiting.backlog.take_if(turns.__contains__)
        self.waiting.held.take_if(turns.__contains__)
        self.ledger.end_all((turn for turn in turns if turn is not self.floor.current), step, reason, now)
        self._close_digests(now)
        self.floor.consider(now)

    def _holding_ended(self, digest: str, now: float) -> None:
        count = len(held.merged(self.waiting.held.unread()))
        if digest == "at_end":
            self.read_digest(now)
        elif count:
            sentence = words.waiting(count, self._language)
            self._own(held.announcement(sentence, self._name, now, tag="edgevoice-held"), now)

    def _close_digests(self, now: float) -> None:
        """What a digest read has finished with it; what it did not come to read stays held."""
        for digest in [digest for digest in self._digests if digest.ended]:
            self._digests.remove(digest)
            read = [turn for turn in self.waiting.held if turn.read_by is digest]
            if digest.outcome is EventType.FINISHED:
                self._end(read, EventType.FINISHED, "digest", now)
                self._read_on(now)
            for turn in read:
                turn.read_by = None

    def _read_on(self, now: float) -> None:
        """The next digest, where all that was held is read."""
        all_of_it = self._presence.manners.digest == "at_end"
        if all_of_it and self.waiting.posture.holds(Urgency.NORMAL) is None:
            self.read_digest(now)


def _displaced_by(current: Turn | None, turns: list[Turn]) -> list[Turn]:
    """What is being said, what it interrupted, and what that had interrupted."""
    found = [current] if current else []
    for one in found:
        found += [turn for turn in turns if turn.interrupted_by is one]
    return found
