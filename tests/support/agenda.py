"""A speaker's agenda without a clock or a sound: time is a number, and a test says what was heard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edgevoice.announcement import Announcement, RepeatPolicy, Urgency
from edgevoice.outcome import OUTCOMES, EventType
from edgevoice.speaker.agenda import Agenda
from edgevoice.speaker.presence import SpeakerPolicy, SpeakerSettings
from tests.support.announcements import NoSynthesis, announcement

if TYPE_CHECKING:
    from edgevoice.speaker.turn import Turn

RATE = 24_000


class Kitchen:
    """One speaker; `now` is its monotonic clock, `wall` the one on its wall."""

    def __init__(self, volume: int = 100, **manners: Any) -> None:
        self.now = 1000.0
        self.wall = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        self.told: list[tuple[str, EventType, str | None]] = []
        self.events: list[Any] = []
        self.escalated: list[Announcement] = []
        self.presence = SpeakerSettings(SpeakerPolicy(**manners), volume, lambda: self.wall, lambda: self.now)
        self.synthesis = NoSynthesis()
        self.survived: list[str] = []
        self.agenda = self._begin()

    def _begin(self) -> Agenda:
        return Agenda(
            "kitchen",
            self.presence,
            tell=self._tell,
            speech_of=self.synthesis.speech,
            escalate=self.escalated.append,
        )

    def restart(self) -> list[tuple[str, str]]:
        """The daemon ends in good order and begins anew; what survives it: names and urgencies."""
        floor = self.agenda.floor
        alive = [*self.agenda.waiting, *([floor.current] if floor.current else [])]
        survive = [turn.announcement for turn in alive if turn.announcement.urgency.rank >= 2]
        self.agenda.close(self.now, lambda announcement: announcement in survive)
        floor.cut_short()
        self.cut()
        finished, self.agenda = self.agenda.ledger.finished, self._begin()
        self.agenda.ledger.finished.update(finished)
        self.survived += [announcement.id for announcement in survive]
        return [(announcement.id, str(announcement.urgency)) for announcement in survive]

    def _tell(self, turn: Turn, step: EventType, reason: str | None) -> None:
        self.told.append((turn.announcement.id, step, reason))
        self.events.append(turn.event(step, reason))

    def say(self, name: str, urgency: str = "normal", **more: Any) -> None:
        """An announcement arrives, with its name as its text if it has none."""
        more = {"text": name, **more}
        made = announcement(Urgency(urgency), id=name, received_monotonic=self.now, **more)
        self.agenda.add(self.synthesis.speech(made), self.now)

    def refuse(self, name: str) -> None:
        made = announcement(id=name, received_monotonic=self.now)
        self.agenda.refuse(self.synthesis.speech(made), EventType.SUPPRESSED, "rate", self.now)

    def take(self, *, heard: float | None = 0.0) -> str | None:
        """The next one has the floor, and sounds at once; None leaves it silent. Its name."""
        turn = self.agenda.take(self.now)
        if turn is not None and heard is not None:
            if turn.cut:
                turn.resume(turn.position)
            self.agenda.floor.sound(self.now)
            self.hear(heard)
        return self.saying

    def hear(self, seconds: float) -> None:
        """So much more was heard of what is being said."""
        self.now += seconds
        turn = self.agenda.floor.current
        assert turn is not None
        turn.heard(turn.position + round(seconds * RATE))
        self.agenda.floor.consider(self.now)

    def cut(self) -> bool:
        """Do as the floor says; whether what is being said was cut."""
        if self.agenda.floor.verdict is None:
            return False
        self.agenda.conclude(self.now, cancelled=True)
        return True

    def finish(self) -> None:
        """What is being said was heard to its end."""
        self.agenda.conclude(self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.agenda.look(self.now)

    def switch(self, **switches: bool) -> None:
        """Mute or do not disturb."""
        if "mute" in switches:
            self.presence.mute = switches["mute"]
        if "dnd" in switches:
            self.presence.set_dnd(on=switches["dnd"])
        self.agenda.look(self.now)

    def stop(self, what: str = "") -> None:
        self.agenda.stop(what, self.now)

    def ack(self, what: str = "") -> bool:
        return self.agenda.acknowledge(what, self.now)

    def digest(self) -> str | None:
        """Ask for the digest; the text it reads."""
        before = len(self.synthesis.speeches)
        self.agenda.read_digest(self.now)
        made = self.synthesis.speeches[before:]
        return made[0].announcement.text if made else None

    @property
    def saying(self) -> str | None:
        turn = self.agenda.floor.current
        return turn.announcement.id if turn else None

    @property
    def queue(self) -> list[str]:
        return [turn.announcement.id for turn in self.agenda.waiting.backlog]

    @property
    def held(self) -> list[str]:
        return [turn.announcement.id for turn in self.agenda.waiting.held]

    def steps(self, name: str) -> list[str]:
        return [str(step) for known, step, _ in self.told if known == name]

    def ended(self, name: str) -> tuple[str, str | None] | None:
        """The one outcome of an announcement, or None."""
        found = [
            (str(step), reason) for known, step, reason in self.told if known == name and step in OUTCOMES
        ]
        assert len(found) <= 1, found
        return found[0] if found else None

    def order(self) -> list[str]:
        """What is said from here on, one after the other."""
        said = []
        while (name := self.take()) is not None:
            said.append(name)
            self.finish()
        return said

    @staticmethod
    def every(seconds: float, **more: Any) -> RepeatPolicy:
        return RepeatPolicy(every_s=seconds, **more)
