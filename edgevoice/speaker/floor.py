"""Who has the floor: the one turn that is being said, what may cut it, and what becomes of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.outcome import EventType
from edgevoice.speaker import insisting
from edgevoice.speaker.rules import Against, against, replaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement, RepeatPolicy
    from edgevoice.speaker.ledger import Ledger
    from edgevoice.speaker.presence import SpeakerSettings
    from edgevoice.speaker.turn import Turn
    from edgevoice.speaker.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a turn that is cut: an outcome, or INTERRUPTED (`by` another) or HELD, to go on later."""

    step: EventType
    reason: str | None = None
    by: Turn | None = None


class Floor:
    """The turn that is being said; times are monotonic seconds.

    Whoever plays it ends it once there is a `verdict`, or lets it have a pause once it is `pausing`; then,
    as in any case, it is to be concluded.
    """

    def __init__(
        self,
        presence: SpeakerSettings,
        waiting: Waiting,
        ledger: Ledger,
        escalate: Callable[[Announcement], None],
    ) -> None:
        self.current: Turn | None = None
        self.verdict: Verdict | None = None
        self.pausing = False
        """Whether the next pause is waited for, to let a more urgent one go first."""
        self._presence = presence
        self._waiting = waiting
        self._ledger = ledger
        self._escalate = escalate
        self._displaced: list[Turn] = []

    def take(self, now: float) -> Turn | None:
        """Give the floor to the next that waits."""
        turn = self._waiting.next(now)
        if turn is None:
            return None
        for displaced in self._displaced:
            displaced.interrupted_by = turn
        self._displaced, turn.interrupted_by = [], None
        self.current, self.verdict, self.pausing = turn, None, False
        turn.volume = self._presence.loudness(turn.announcement, turn.round)
        return turn

    def sound(self, now: float) -> None:
        """The first sample of the current turn was handed over."""
        if (turn := self.current) is not None:
            turn.sound(now)
            self._ledger.tell(turn, EventType.RESUMED if turn.interrupted else EventType.STARTED)

    def cut(self, step: EventType, reason: str | None = None, by: Turn | None = None) -> None:
        """Give the verdict on the current turn; only an end stands against one that it goes on later."""
        if self.current is not None and (
            self.verdict is None or (step.is_outcome and not self.verdict.step.is_outcome)
        ):
            self.verdict, self.pausing = Verdict(step, reason, by), False

    def cut_short(self) -> None:
        """The daemon ends before what is being said has."""
        self.cut(EventType.FAILED, "restart")

    def is_said(self, name: str) -> bool:
        """Whether this id is being said, and not just about to end otherwise than finished."""
        ending = self.verdict is not None and self.verdict.step.is_outcome
        if self.current is None or self.current.announcement.id != name:
            return False
        return not ending or (self.verdict is not None and self.verdict.step is EventType.FINISHED)

    def joins(self, new: Announcement) -> bool:
        """Whether a new critical one is what is being said already."""
        current = self.current
        return (
            current is not None
            and self.verdict is None
            and current.superseded_by is None
            and against(new, current.announcement, current.heard_s) is Against.JOIN
        )

    def supersede(self, new: Announcement) -> None:
        """A newer one of its tag waits: what is being said is heard out, but does not come back."""
        if self.current is not None and replaces(new, self.current.announcement):
            self.current.superseded_by = new

    def consider(self, now: float) -> None:
        """Let those that wait do to what is being said what the rules say."""
        current, self.pausing = self.current, False
        if current is None or self.verdict is not None:
            return
        for turn in self._waiting.backlog.ready(now):
            if turn.announcement.urgency.rank < Urgency.HIGH.rank:
                return
            what = self._against(turn, current)
            if what is Against.NOW or (what is Against.AT_PAUSE and not current.sounds):
                self.cut(EventType.INTERRUPTED, by=turn)
                return
            if what is Against.AT_PAUSE:
                self.pausing = True
                return

    def pause(self, now: float) -> None:
        """The pause has come, or was waited for long enough."""
        self.consider(now)
        if self.pausing:
            self.cut(EventType.INTERRUPTED)

    def look(self, now: float) -> None:
        """See what time and the switches mean for what is being said."""
        turn = self.current
        if turn is None:
            return
        turn.volume = self._presence.loudness(turn.announcement, turn.round)
        if turn.deadline is not None and turn.deadline <= now and not turn.sounds:
            self.cut(EventType.EXPIRED, "ttl")
        elif self._waiting.why_held(turn, now) is not None:
            self.cut(EventType.HELD)

    def conclude(self, now: float, *, cancelled: bool = False, failure: str | None = None) -> None:
        """The current turn is no longer played: give it its outcome, or keep it for later."""
        turn, verdict = self.current, self.verdict
        self.current, self.verdict, self.pausing = None, None, False
        if turn is None:
            return
        turn.done = now
        if verdict is not None and (verdict.step.is_outcome or cancelled or failure is not None):
            turn.parked = turn.parked and not cancelled
            self._obey(turn, verdict, now)
        elif failure is not None:
            self._ledger.end(turn, EventType.FAILED, failure, now)
        elif turn.parked:
            self._displace(turn, now)
        elif not turn.started:
            self._ledger.end(turn, EventType.FAILED, "there was nothing to say", now)
        else:
            self._round_over(turn, now)

    def next_change(self) -> float | None:
        """When the current turn is stale, if it does not sound by then."""
        turn = self.current
        return turn.deadline if turn is not None and self.verdict is None and not turn.sounds else None

    def _against(self, turn: Turn, current: Turn) -> Against:
        if turn.announcement.urgency is current.announcement.urgency and turn.number < current.number:
            return Against.WAIT  # it is the older one
        return against(turn.announcement, current.announcement, current.heard_s)

    def _obey(self, turn: Turn, verdict: Verdict, now: float) -> None:
        if verdict.step is EventType.FAILED:
            self._ledger.lose(turn, now)
        elif verdict.step.is_outcome:
            self._ledger.end(turn, verdict.step, verdict.reason, now)
        else:
            self._displace(turn, now)
            if verdict.by is not None and verdict.by.order > turn.order:
                self._waiting.put_first(verdict.by, now)

    def _displace(self, turn: Turn, now: float) -> None:
        """What was cut, or fell silent, goes on later."""
        if self._is_superseded(turn, now):
            return
        if turn.sounds:
            turn.interrupt(self._waiting.next_number(), now)
            self._ledger.tell(turn, EventType.INTERRUPTED)
        self._waiting.keep(turn, now)
        if turn.held_at is None:
            self._displaced.append(turn)

    def _round_over(self, turn: Turn, now: float) -> None:
        """It was heard to its end: that was all, or it insists."""
        insists = turn.announcement.repeat
        if insists is None:
            self._ledger.end(turn, EventType.FINISHED, None, now)
        elif not self._is_superseded(turn, now):
            self._insist(turn, insists, now)

    def _insist(self, turn: Turn, insists: RepeatPolicy, now: float) -> None:
        since_first, said = now - (turn.first_sound or now), turn.round
        gap = insisting.next_gap(insists, said, since_first, self._presence.manners.growth)
        if gap is None:
            self._ledger.end(turn, EventType.FINISHED, "times", now)
        else:
            turn.again(now + gap)
            self._waiting.keep(turn, now)
        if insists.escalate_after == said:
            self._escalate(turn.announcement)

    def _is_superseded(self, turn: Turn, now: float) -> bool:
        """Whether its place was taken while it was being said; then it has ended."""
        if turn.superseded_by is not None:
            self._waiting.replace(turn, turn.superseded_by, now)
        return turn.ended
