"""A scheduler without a player: time is a number, and a test says what was heard."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edgevoice.announcement import DEFAULT_TTL_S, Announcement, RepeatPolicy, Urgency
from edgevoice.outcome import OUTCOMES, EventType
from edgevoice.scheduler import actions as act
from edgevoice.scheduler.policy import SpeakerPolicy, SpeakerSettings
from edgevoice.scheduler.queue import QueueItem, Status
from edgevoice.scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Q, _S, _P, _I, _K, _H, _E = Status

#: The states that may follow each state, as drawn in `edgevoice.scheduler.queue`.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    _Q: frozenset({_S, _H, _E}),
    _S: frozenset({_P, _Q, _I, _K, _H, _E}),
    _P: frozenset({_I, _K, _Q, _H, _E}),
    _I: frozenset({_S, _H, _E}),
    _K: frozenset({_I, _Q, _H, _E}),
    _H: frozenset({_Q, _I, _K, _E}),
    _E: frozenset(),
}


def announcement(urgency: Urgency = Urgency.NORMAL, **more: Any) -> Announcement:
    more.setdefault("id", "a1")
    more.setdefault("received_monotonic", 100.0)
    more.setdefault("received_at", datetime.now(UTC))
    more.setdefault("ttl", DEFAULT_TTL_S[urgency])
    more.setdefault("target", "all")
    if "live" not in more:
        more.setdefault("text", "Hello.")
    return Announcement(urgency=urgency, **more)


def item(number: int = 1, urgency: Urgency = Urgency.NORMAL, **more: Any) -> CheckedItem:
    return CheckedItem(
        announcement(urgency, id=f"a{number}", **more), is_internal=False, sequence=number, volume=60
    )


class CheckedItem(QueueItem):
    """An item that follows the arrows of its state diagram only."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "status":
            before = getattr(self, "status", value)
            assert value is before or value in TRANSITIONS[before], (before, value)
        super().__setattr__(name, value)


class CheckedScheduler(Scheduler):
    def _new_item(self, *args: Any, **more: Any) -> QueueItem:
        made = super()._new_item(*args, **more)
        return CheckedItem(made.announcement, made.is_internal, made.sequence, made.volume)


class Kitchen:
    """A speaker; `now` is its monotonic clock, `wall` its wall clock. A cut takes effect with `cut`."""

    def __init__(self, volume: int = 100, **policy: Any) -> None:
        self.now = 1000.0
        self.wall = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        self.told: list[tuple[str, EventType, str | None]] = []
        self.emitted: list[act.Emit] = []
        self.escalated: list[Announcement] = []
        self.internal: list[Announcement] = []
        self.prefetched: list[tuple[str, str, float]] = []
        self.released: list[QueueItem] = []
        self.items: dict[QueueItem, None] = {}
        self.kept: list[QueueItem] = []
        self.survived: list[str] = []
        self.plays: list[act.Play] = []
        #: Seconds of each clip that is synthesized.
        self.clips: dict[str, float] = {}
        self.stopping = self.pausing = self.parking = False
        self.watched: list[QueueItem] = []
        self.settings = SpeakerSettings(SpeakerPolicy(**policy), volume, lambda: self.wall)
        self.scheduler = CheckedScheduler("kitchen", self.settings)

    # Inputs

    def do(self, actions: Iterable[act.Action]) -> list[act.Action]:  # noqa: C901, PLR0912 - one case each
        actions = list(actions)
        for action in actions:
            match action:
                case act.Emit():
                    self.items[action.item] = None
                    self.emitted.append(action)
                    self.told.append((action.item.announcement.id, action.type, action.reason))
                    if action.item.is_internal and action.type is EventType.QUEUED:
                        self.internal.append(action.item.announcement)
                case act.Play():
                    assert action.item is self.scheduler.playing
                    self.plays.append(action)
                    self.stopping = self.pausing = self.parking = False
                case act.StopNow():
                    assert not self.stopping
                    self.stopping = True
                case act.StopAtPause() | act.CancelStopAtPause():
                    starts = isinstance(action, act.StopAtPause)
                    assert self.pausing is not starts
                    self.pausing = starts
                case act.Park():
                    self.parking = True
                case act.WatchText():
                    self.watched.append(action.item)
                case act.Prefetch():
                    name = action.item.announcement.id
                    self.prefetched.append((name, action.priority.name, action.by - self.now))
                case act.CancelPrefetch():
                    self.prefetched.append((action.item.announcement.id, "CANCEL", 0.0))
                case act.Escalate():
                    self.escalated.append(action.announcement)
                case act.Release():
                    assert action.item not in self.released
                    assert action.item.status is Status.ENDED
                    self.released.append(action.item)
                    if action.keep:
                        self.kept.append(action.item)
        return actions

    def report(self, event_type: Any, *values: Any) -> None:
        """Tell the scheduler what the player did with the current item."""
        assert self.scheduler.playing is not None
        self.do(self.scheduler.playback(event_type(self.scheduler.playing, *values), self.now))

    def make(self, name: str, urgency: str = "normal", **more: Any) -> Announcement:
        more = {"text": name, **more}
        local = self.wall
        return announcement(Urgency(urgency), id=name, received_monotonic=self.now, received_at=local, **more)

    def say(self, name: str, urgency: str = "normal", **more: Any) -> None:
        """An announcement arrives, with its name as its text if it has none."""
        self.do(self.scheduler.submit(self.make(name, urgency, **more), self.now))

    def refuse(self, name: str, urgency: str = "normal", **more: Any) -> None:
        self.do(self.scheduler.refuse(self.make(name, urgency, **more), "rate", self.now))

    def admission(self, name: str, urgency: str = "normal", **more: Any) -> str:
        return self.scheduler.admission(self.make(name, urgency, **more), self.now).name

    def take(self, *, heard: float | None = 0.0) -> str | None:
        """The next one is started, and can be heard at once; None leaves it silent. Its name."""
        actions = self.do(self.scheduler.start_next(self.now))
        played = [action for action in actions if isinstance(action, act.Play)]
        if played and heard is not None:
            if played[0].resume_not_before_s is not None:
                self.report(act.Resumed, played[0].from_s)
            self.report(act.Started)
            self.report(act.SpeechStarted)
            self.hear(heard)
        return self.saying

    def hear(self, seconds: float) -> None:
        """This much more was heard of what is playing."""
        self.now += seconds
        playing = self.scheduler.playing
        assert playing is not None
        position = playing.progress.position_s + seconds
        left = max(0.0, self.clips.get(playing.announcement.id, 0.0) - position)
        self.report(act.Progressed, position, left)

    def cut(self) -> bool:
        """The player obeys a stop; return whether there was one."""
        if not self.stopping:
            return False
        self.stopping = False
        self.report(act.Stopped)
        return True

    def finish(self) -> None:
        """Play the current announcement to its end."""
        self.stopping = False
        self.report(act.Finished)

    def fail(self) -> None:
        self.stopping = False
        self.report(act.Failed, "broken")

    def pause(self) -> None:
        self.report(act.PauseReached)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.scheduler.tick(self.now))

    def switch(self, **switches: bool) -> None:
        """Mute or do not disturb."""
        for name, on in switches.items():
            self.do(self.scheduler.apply_setting(name, "ON" if on else "OFF", self.now))

    def stop(self, what: str = "") -> None:
        self.do(self.scheduler.stop(what, self.now))

    def ack(self, what: str = "") -> bool:
        found = bool(self.scheduler.find_repeating(what))
        self.do(self.scheduler.acknowledge(what, self.now))
        return found

    def digest(self) -> str | None:
        """Ask for the digest; the text it reads."""
        before = len(self.internal)
        self.do(self.scheduler.read_digest(self.now))
        return self.internal[before].text if len(self.internal) > before else None

    def synthesized(self, name: str, seconds: float) -> None:
        """The clip of a waiting item is complete."""
        self.clips[name] = seconds
        for one in [*self.scheduler.waiting, *self.scheduler.held]:
            if one.announcement.id == name:
                self.do(self.scheduler.playback(act.Synthesized(one, seconds), self.now))

    def text_arrives(self, one: QueueItem) -> None:
        self.do(self.scheduler.playback(act.TextArrived(one), self.now))

    def close(self) -> None:
        """The daemon ends in good order, and what is playing is cut off."""
        self.do(self.scheduler.close(self.now))
        self.do(self.scheduler.abort(self.now))
        self.cut()

    def restart(self, *, crash: bool = False) -> list[tuple[Announcement, float, float]]:
        """End the daemon and start it again; return what the store kept, with its due time and its deadline.

        After a crash that is what is high or critical.
        """
        alive = [*self.scheduler.waiting, *self.scheduler.held]
        alive += [self.scheduler.playing] if self.scheduler.playing else []
        if crash:
            survivors = [one for one in alive if one.is_restorable and one.announcement.urgency.rank >= 2]
            lost = [one for one in alive if one not in survivors]
            self.survived += [one.announcement.id for one in lost]
        else:
            before = len(self.kept)
            self.close()
            survivors = self.kept[before:]
        self.survived += [one.announcement.id for one in survivors]
        finished = self.scheduler._finished.until
        self.scheduler = CheckedScheduler("kitchen", self.settings)
        self.scheduler.restore_finished(finished)
        self.stopping = self.pausing = self.parking = False
        survivors.sort(key=lambda one: one.sequence)
        return [(one.announcement, one.due, one.expires_at(self.now)) for one in survivors]

    def say_again(self, kept: Announcement, due: float, expires: float) -> None:
        """Submit what a restart brought back."""
        again = dataclasses.replace(
            kept, received_monotonic=self.now, not_before=due - self.now, ttl=expires - due, repeated=True
        )
        self.do(self.scheduler.submit(again, self.now))

    # What came of it

    @property
    def saying(self) -> str | None:
        playing = self.scheduler.playing
        return playing.announcement.id if playing else None

    @property
    def queue(self) -> list[str]:
        return [one.announcement.id for one in self.scheduler.waiting]

    @property
    def held(self) -> list[str]:
        return [one.announcement.id for one in self.scheduler.held]

    @property
    def next_wakeup(self) -> float | None:
        moment = self.scheduler.next_wakeup()
        return None if moment == math.inf else moment

    def steps(self, name: str) -> list[str]:
        return [str(type_) for known, type_, _ in self.told if known == name]

    def ended(self, name: str) -> tuple[str, str | None] | None:
        """The one outcome of an announcement, or None."""
        found = [(str(type_), why) for known, type_, why in self.told if known == name and type_ in OUTCOMES]
        assert len(found) <= 1, found
        return found[0] if found else None

    def order(self) -> list[str]:
        """Return the announcements that are said from here on, in order."""
        said = []
        while (name := self.take()) is not None:
            said.append(name)
            self.finish()
        return said

    @staticmethod
    def every(seconds: float, **more: Any) -> RepeatPolicy:
        return RepeatPolicy(every_s=seconds, **more)
