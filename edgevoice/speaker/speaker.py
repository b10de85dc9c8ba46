"""A speaker: takes turns from its agenda, says one at a time over its output, and tells what becomes of each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from edgevoice.errors import ClipError, OutputError
from edgevoice.outcome import CurrentAnnouncement, EventType, SpeakerState
from edgevoice.speaker.agenda import Agenda
from edgevoice.speaker.beside import Beside
from edgevoice.speaker.interruption import until_pause
from edgevoice.speaker.saying import Saying

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement
    from edgevoice.faults import Faults
    from edgevoice.observers import Observers
    from edgevoice.plugin import Output
    from edgevoice.speaker.backlog import Backlog
    from edgevoice.speaker.chimes import Chimes
    from edgevoice.speaker.held import Held
    from edgevoice.speaker.presence import SpeakerSettings
    from edgevoice.speaker.turn import Turn
    from edgevoice.synthesis.speech import SpeechJob

logger = logging.getLogger(__name__)


class Speaker:
    """One named output with a queue of its own; `run` says what is added to it.

    `speech_of` makes the speech of what it has to say itself; `escalate` takes an alert to further targets.
    """

    def __init__(  # noqa: PLR0913 - the parts it is made of
        self,
        name: str,
        output: Output,
        presence: SpeakerSettings,
        *,
        chimes: Chimes,
        speech_of: Callable[[Announcement], SpeechJob],
        escalate: Callable[[Announcement], None],
        observers: Observers,
        faults: Faults,
    ) -> None:
        self.name = name
        self.presence = presence
        self._agenda = Agenda(name, presence, tell=self._tell, speech_of=speech_of, escalate=escalate)
        self._saying = Saying(name, output, presence, chimes, faults)
        self._saying.on_sound, self._saying.on_heard = self._sounds, self._heard
        self._saying.waits = lambda: self.backlog.first(_now()) is not None
        self._observers = observers
        self._faults = faults
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beside = Beside()
        self._shown: SpeakerState | None = None

    def add(self, speech: SpeechJob) -> None:
        """Accept an announcement; from here on it ends in exactly one outcome, unless it is a duplicate."""
        self._agenda.add(speech, _now())
        self._settle()

    def refuse(self, speech: SpeechJob, step: EventType, reason: str) -> None:
        """End an announcement that is not even queued."""
        self._agenda.refuse(speech, step, reason, _now())

    def stop(self, what: str) -> None:
        """Stop what is being said and all it interrupted (""), everything ("all"), or an id, else a tag."""
        self._agenda.stop(what, _now())
        self._settle()

    def acknowledge(self, what: str) -> bool:
        """End every alert that insists (""), or the one with this id; whether there was one."""
        found = self._agenda.acknowledge(what, _now())
        self._settle()
        return found

    def read_digest(self) -> None:
        """Read the held ones now."""
        self._agenda.read_digest(_now())
        self._settle()

    def tick(self) -> None:
        """See what time has changed: quiet hours, switches, what was held too long."""
        self._agenda.look(_now())
        self._settle()

    async def drain(self, within: float, survives: Callable[[Announcement], bool] = lambda _: False) -> None:
        """Let what is being said end, for at most `within` seconds; what waits ends as failed.

        What `survives` says the next start will bring back is left without an outcome.
        """
        self._agenda.close(_now(), survives)
        if (task := self._task) is not None and not (await asyncio.wait({task}, timeout=within))[0]:
            self._agenda.floor.cut_short()
            self._settle()
            await asyncio.wait({task})
        await asyncio.sleep(0)  # the loop has woken, too, and tells the outcome

    @property
    def backlog(self) -> Backlog:
        """What waits, in order."""
        return self._agenda.waiting.backlog

    @property
    def held(self) -> Held:
        """What is kept back."""
        return self._agenda.waiting.held

    @property
    def finished(self) -> dict[str, float]:
        """Ids that finished, and until when (monotonic seconds) they are remembered."""
        return self._agenda.ledger.finished

    @property
    def saying(self) -> tuple[Announcement | None, float]:
        """What is being said, and how many seconds of it were heard."""
        turn = self._agenda.floor.current
        return (turn.announcement, turn.heard_s) if turn is not None else (None, 0.0)

    @property
    def state(self) -> SpeakerState:
        """What it is doing, as published."""
        turn, posture = self._agenda.floor.current, self._agenda.waiting.posture
        said = turn.announcement if turn is not None and turn.sounds else None
        now = CurrentAnnouncement(said.id, said.urgency, turn.since) if turn and said else None
        return SpeakerState(
            state="fault" if self._faults.fault_of(self.name) else "speaking" if now else "idle",
            now=now,
            queue=len(self.backlog),
            held=len(self.held),
            volume=self.presence.volume,
            mute=posture.mute,
            dnd=posture.dnd,
            quiet=posture.quiet,
            fault=self._faults.of(self.name),
        )

    def show(self) -> None:
        """Tell the state to all observers, if it is another than they know."""
        if (state := self.state) != self._shown:
            self._shown = state
            self._observers.on_state(self.name, state)

    async def run(self) -> None:
        """Say what is added, for ever."""
        try:
            while True:
                turn = self._agenda.take(_now())
                self._settle()
                if turn is not None:
                    await self._attend(turn)
                else:
                    self._changed.clear()
                    await self._changed.wait()
        finally:
            self._beside.stop_all()
            if self._timer is not None:
                self._timer.cancel()

    async def _attend(self, turn: Turn) -> None:
        """Say the turn that has the floor, until it has ended or was cut."""
        task = self._task = asyncio.create_task(
            self._saying.say(turn), name=f"{self.name} says {turn.announcement.id}"
        )
        self._settle()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            self._task = None
        error = None if task.cancelled() else task.exception() or turn.error
        if error is not None and not isinstance(error, OutputError | ClipError):
            logger.error("%s broke", self.name, exc_info=error)
        failure = None if error is None else str(error) or type(error).__name__
        self._agenda.conclude(_now(), cancelled=task.cancelled(), failure=failure)
        if turn.parked and not turn.ended:
            self._beside.run(f"park {turn.number}", self._unpark(turn))

    def _settle(self) -> None:
        """After any change: do as the floor says, look again when time changes something, tell the state."""
        self._obey()
        self._changed.set()
        if self._timer is not None:
            self._timer.cancel()
        moment = self._agenda.next_change()
        loop = asyncio.get_running_loop()
        self._timer = None if moment is None else loop.call_at(moment, self.tick)
        self.show()

    def _obey(self) -> None:
        if self._agenda.floor.verdict is not None and self._task is not None and not self._task.cancelling():
            self._task.cancel()
        if not self._agenda.floor.pausing:
            self._beside.stop("pause")
        elif "pause" not in self._beside and self._agenda.floor.current is not None:
            self._beside.run("pause", self._cut_at_pause(self._agenda.floor.current))

        for turn, need, by in self._agenda.coming(_now()):
            self._saying.prepare(turn, need, by)

    def _sounds(self) -> None:
        self._agenda.floor.sound(_now())
        self._settle()

    def _heard(self) -> None:
        if len(self.backlog):
            self._agenda.floor.consider(_now())
            self._obey()

    async def _cut_at_pause(self, turn: Turn) -> None:
        with contextlib.suppress(ClipError):
            await until_pause(turn)
        if turn is self._agenda.floor.current:
            self._agenda.floor.pause(_now())
            self._settle()

    async def _unpark(self, turn: Turn) -> None:
        """Live text that fell silent lets others go first, until it has more to say."""
        with contextlib.suppress(ClipError):  # told when its turn comes
            await turn.speech.clip.read(turn.position, 2)
        turn.parked = False
        self._settle()

    def _tell(self, turn: Turn, step: EventType, reason: str | None) -> None:
        event = turn.event(step, reason)
        level = logging.INFO if step.is_outcome else logging.DEBUG
        told = f"{step}{f' ({reason})' if reason else ''}"
        told += f" over {event.transport}" if event.transport else ""
        logger.log(level, "%s: %s", self.name, told, extra={"ANNOUNCEMENT_ID": event.id})
        self._observers.on_event(event, turn.announcement.origin)


def _now() -> float:
    return asyncio.get_running_loop().time()
