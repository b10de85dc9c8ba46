"""Gives each turn exactly one outcome, and remembers which ids finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.outcome import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgevoice.announcement import Announcement
    from edgevoice.speaker.turn import Turn

REMEMBERED = 86_400.0
"""Seconds for which the id of what finished makes another one a duplicate."""
MOST_REMEMBERED = 50_000
"""Ids that are remembered at most; more than thirty a minute, all day long."""


class Ledger:
    """What was told of the turns of one speaker; times are monotonic seconds.

    `tell` takes each step. `survives` says what a restart will bring back, and needs no outcome from a
    daemon that ends.
    """

    def __init__(self, tell: Callable[[Turn, EventType, str | None], None]) -> None:
        self.finished: dict[str, float] = {}
        """Ids that finished, and until when they are remembered."""
        self.survives: Callable[[Announcement], bool] = lambda _: False
        self._tell = tell

    def tell(self, turn: Turn, step: EventType, reason: str | None = None) -> None:
        """Tell a step that is no outcome."""
        self._tell(turn, step, reason)

    def end(self, turn: Turn, step: EventType, reason: str | None, now: float) -> None:
        """Give a turn its outcome."""
        if turn.ended:
            return
        turn.outcome = step
        self._tell(turn, step, reason)
        if step is EventType.FINISHED and not turn.own:
            self._remember(turn.announcement.id, now)
        turn.speech.leave()

    def end_all(self, turns: Iterable[Turn], step: EventType, reason: str | None, now: float) -> None:
        for turn in turns:
            self.end(turn, step, reason, now)

    def give_up(self, turn: Turn, now: float) -> None:
        """End a turn for which there is no room: what was never heard is suppressed."""
        self.end(turn, EventType.CANCELLED if turn.started else EventType.SUPPRESSED, "overflow", now)

    def lose(self, turn: Turn, now: float) -> None:
        """The daemon ends before this was said: a restart brings it back, or it is lost."""
        if self.survives(turn.announcement) and not turn.own:
            turn.outcome = EventType.FAILED
            turn.speech.leave()
        else:
            self.end(turn, EventType.FAILED, "restart", now)

    def has_finished(self, name: str, now: float) -> bool:
        """Whether an id finished within 24 h."""
        return self.finished.get(name, now) > now

    def _remember(self, name: str, now: float) -> None:
        self.finished.pop(name, None)
        self.finished[name] = now + REMEMBERED
        while (oldest := next(iter(self.finished))) != name and (
            self.finished[oldest] <= now or len(self.finished) > MOST_REMEMBERED
        ):
            del self.finished[oldest]
