"""A speaker: says one announcement at a time, the most urgent first, and gives each exactly one outcome.

Longer than others: it is the one place where arrival, interruption, holding and ending meet, and its rules
stand elsewhere (rules, insisting, presence, interruption).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgevoice import held, insisting, words
from edgevoice.announcement import Urgency
from edgevoice.backlog import Backlog
from edgevoice.errors import ClipError, OutputError
from edgevoice.held import Held
from edgevoice.interruption import resume_from, until_pause
from edgevoice.outcome import Now, SpeakerState, Step
from edgevoice.playing import Playing
from edgevoice.rules import Against, against, is_same_alarm, replaces
from edgevoice.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgevoice.announcement import Announcement
    from edgevoice.chimes import Chimes
    from edgevoice.faults import Faults
    from edgevoice.observers import Observers
    from edgevoice.plugin import Output
    from edgevoice.presence import Presence
    from edgevoice.speech import Speech

logger = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds between attempts to have a lost output back."""
REMEMBERED = 86_400.0
"""Seconds for which the id of what finished makes another one a duplicate."""


class Speaker:
    """One named output with a queue of its own; `run` says what is added to it.

    `speech_of` makes the speech of what the speaker itself has to say; `escalate` takes an alert on to
    further targets.
    """

    def __init__(
        self,
        name: str,
        output: Output,
        presence: Presence,
        *,
        chimes: Chimes,
        speech_of: Callable[[Announcement], Speech],
        escalate: Callable[[Announcement], None],
        observers: Observers,
        faults: Faults,
    ) -> None:
        self.name = name
        self.presence = presence
        self.backlog = Backlog(presence.manners.queue)
        self.held = Held(presence.manners.digest_keep, presence.manners.queue)
        self.finished: dict[str, float] = {}
        """Ids that finished, and until when (monotonic seconds) they are remembered."""
        self._output = output
        self._chimes = chimes
        self._speech_of = speech_of
        self._escalate = escalate
        self._observers = observers
        self._faults = faults
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._current: Turn | None = None
        self._since = datetime.now(UTC)
        self._task: asyncio.Task[None] | None = None
        self._verdict: tuple[Step, str | None] | None = None
        self._beside: dict[str, asyncio.Task[None]] = {}
        self._digests: dict[Turn, list[Turn]] = {}
        self._posture = presence.posture
        self._shown: SpeakerState | None = None

    # ---- what intake asks of it ----------------------------------------------------------------------

    def add(self, speech: Speech) -> None:
        """Accept an announcement; from here on it ends in exactly one outcome, unless it is a duplicate."""
        turn = Turn(speech, self.name, next(self._numbers), self.presence.loudness(speech.announcement))
        if self._is_duplicate(turn):
            self._tell(turn, Step.DUPLICATE)
            speech.leave()
            return
        self._tell(turn, Step.QUEUED)
        if self._joins_current(turn):
            self._end(turn, Step.REPLACED, "the same is being said")
        else:
            self._replace_older(turn)
            self._keep(turn)
        self._settle()

    def refuse(self, speech: Speech, step: Step, reason: str) -> None:
        """End an announcement that is not even queued."""
        self._end(
            Turn(speech, self.name, next(self._numbers), self.presence.loudness(speech.announcement)),
            step,
            reason,
        )

    def stop(self, what: str) -> None:
        """Stop what is being said and all it interrupted (""), everything ("all"), or an id, else a tag."""

        def wanted(turn: Turn) -> bool:
            if what == "":
                return turn.interruption > 0 or turn.round > 1
            return what == "all" or what in (turn.announcement.id, turn.announcement.tag)

        self._end_all(self.backlog.take_if(wanted), Step.CANCELLED, "stop")
        if what:
            self._end_all(self.held.take_if(wanted), Step.CANCELLED, "stop")
        if self._current is not None and (what == "" or wanted(self._current)):
            self._cut(Step.CANCELLED, "stop")
        self._settle()

    def acknowledge(self, what: str) -> bool:
        """End every alert that insists (""), or the one with this id; whether there was one."""

        def wanted(turn: Turn) -> bool:
            return turn.announcement.insists is not None and what in ("", turn.announcement.id)

        ended = self.backlog.take_if(wanted) + self.held.take_if(wanted)
        self._end_all(ended, Step.FINISHED, "acknowledged")
        current = self._current is not None and wanted(self._current)
        if current:
            self._cut(Step.FINISHED, "acknowledged")
        self._settle()
        return current or bool(ended)

    def read_digest(self) -> None:
        """Read the held ones now."""
        turns = self.held.take_digest()
        if not turns:
            return
        digest = held.digest_of(turns, len(self.held), self.name, self._language, _now())
        turn = Turn(self._speech_of(digest), self.name, next(self._numbers), self.presence.loudness(digest))
        self._digests[turn] = turns
        self._tell(turn, Step.QUEUED)
        self._keep(turn)
        self._settle()

    def tick(self) -> None:
        """See what time has changed: quiet hours, switches, what was held too long."""
        before, self._posture = self._posture, self.presence.posture
        self._end_all(self.held.expired(_now()), Step.EXPIRED, "held too long")
        for turn in self.backlog.take_if(lambda turn: self._held_why(turn) is not None):
            self._hold(turn)
        if (current := self._current) is not None:
            current.volume = self.presence.loudness(current.announcement, current.round)
            if (self._posture.mute or self._posture.dnd) and self._held_why(current):
                self._cut(Step.HELD, None)
        if before.holds(Urgency.NORMAL) and not self._posture.holds(Urgency.NORMAL):
            self._holding_ended()
        self._settle()

    async def drain(self, within: float) -> None:
        """Let what is being said end, for at most `within` seconds; what waits ends as failed."""
        everything = [*self.backlog.take_if(lambda _: True), *self.held.take_if(lambda _: True)]
        self._end_all(everything, Step.FAILED, "restart")
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=within)
        if self._task is not None:
            self._cut(Step.FAILED, "restart")
            await asyncio.wait({self._task})

    @property
    def state(self) -> SpeakerState:
        """What it is doing, as published."""
        turn, broken = self._current, self._faults.own(self.name)
        now = (
            Now(turn.announcement.id, turn.announcement.urgency, self._since)
            if turn and turn.started
            else None
        )
        return SpeakerState(
            state="fault" if broken else "speaking" if now else "idle",
            now=now,
            queue=len(self.backlog),
            held=len(self.held),
            volume=self.presence.volume,
            mute=self._posture.mute,
            dnd=self._posture.dnd,
            quiet=self._posture.quiet,
            fault=self._faults.of(self.name),
        )

    # ---- the loop ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Say what is added, for ever."""
        while True:
            turn = await self._next()
            self._current, self._verdict, self._since = turn, None, datetime.now(UTC)
            turn.volume = self.presence.loudness(turn.announcement, turn.round)
            self.show()
            self._task = asyncio.create_task(self._say(turn), name=f"{self.name} says {turn.announcement.id}")
            try:
                async with asyncio.timeout_at(turn.deadline) as self._deadline:
                    await asyncio.wait({self._task})
            except TimeoutError:
                self._cut(Step.EXPIRED, "ttl")
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                self._task.cancel()
                await asyncio.wait({self._task})
                raise
            task, self._task, self._current = self._task, None, None
            self._stop_beside("pause")
            self._conclude(turn, task)

    async def _next(self) -> Turn:
        while True:
            self._changed.clear()
            now = _now()
            self._end_all(self.backlog.expired(now), Step.EXPIRED, "ttl")
            if (turn := self.backlog.first(now)) is not None:
                self.backlog.remove(turn)
                return turn
            self.show()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self.backlog.next_change(now)):
                    await self._changed.wait()

    async def _say(self, turn: Turn) -> None:
        """Chime, then the clip from where it stands; a lost output is tried again while it may wait."""
        turn.speech.begin(self._preface(turn))
        if turn.cut:
            turn.position, turn.cut = await resume_from(turn), False
        while True:
            try:
                await self._play(turn)
            except OutputError as error:
                self._faults.set(f"speaker {self.name}", str(error))
                if turn.deadline is not None and _now() + RETRY > turn.deadline:
                    raise
                await asyncio.sleep(RETRY)
            else:
                self._faults.set(f"speaker {self.name}", None)
                return

    async def _play(self, turn: Turn) -> None:
        rate = turn.speech.clip.rate
        name = self.presence.chime(turn.announcement) if turn.position == 0 else None
        playing = Playing(
            turn,
            chime=self._chimes.sound(name, rate) if name else b"",
            ramp=turn.announcement.urgency is Urgency.CRITICAL,
            on_start=self._started,
            on_heard=lambda _: self._consider(),
            other=lambda: self.backlog.first(_now()),
        )
        await self._output.play(playing.audio(), rate, playing)
        if turn.error is not None and turn.announcement.urgency is Urgency.CRITICAL and turn.position == 0:
            await self._output.play(playing.instead(self._chimes.tone(rate)), rate, playing)

    def _conclude(self, turn: Turn, task: asyncio.Task[None]) -> None:
        """Give the turn its outcome, or put it back."""
        turn.done = _now()
        error = None if task.cancelled() else task.exception() or turn.error
        if self._verdict is not None:
            self._by_verdict(turn, *self._verdict)
        elif turn.parked:
            self._put_back(turn)
            self._run_beside(f"park {turn.number}", self._unpark(turn))
        elif error is not None:
            if not isinstance(error, OutputError | ClipError):
                logger.error("%s broke", self.name, exc_info=error)
            self._end(turn, Step.FAILED, str(error) or type(error).__name__)
        elif not turn.started:
            self._end(turn, Step.FAILED, "there was nothing to say")
        else:
            self._round_over(turn)
        self._changed.set()

    def _by_verdict(self, turn: Turn, step: Step, reason: str | None) -> None:
        turn.cut = turn.started
        if step is Step.INTERRUPTED:
            self._put_back(turn)
        elif step is Step.HELD:
            if turn.started:
                turn.interrupted(next(self._numbers), _now())
                self._tell(turn, Step.INTERRUPTED)
            self._hold(turn)
        else:
            self._end(turn, step, reason)

    def _round_over(self, turn: Turn) -> None:
        """It was heard to its end: that was all, or it insists."""
        insists, now = turn.announcement.insists, _now()
        if insists is None:
            self._end(turn, Step.FINISHED)
            return
        since_first = now - (turn.first_sound or now)
        gap = insisting.next_gap(insists, turn.round, since_first, self.presence.manners.growth)
        if gap is None:
            self._end(turn, Step.FINISHED, "times")
            return
        if insists.escalate_after == turn.round:
            self._escalate(turn.announcement)
        turn.again(now + gap)
        self._keep(turn)

    # ---- keeping -------------------------------------------------------------------------------------

    def _keep(self, turn: Turn) -> None:
        if self._held_why(turn) is not None:
            self._hold(turn)
        elif (given_up := self.backlog.add(turn)) is not None:
            self._end(given_up, Step.SUPPRESSED, "overflow")

    def _hold(self, turn: Turn) -> None:
        given_up = self.held.add(turn, _now())
        self._tell(turn, Step.HELD, self._held_why(turn))
        if given_up is not None:
            self._end(given_up, Step.SUPPRESSED, "overflow")

    def _put_back(self, turn: Turn) -> None:
        """What was cut goes on later, if there is room for one more."""
        if turn.started:
            full = self.backlog.is_full_of_interrupted()
            turn.interrupted(next(self._numbers), _now())
            self._tell(turn, Step.INTERRUPTED)
            if full:
                self._end(turn, Step.CANCELLED, "overflow")
                return
        turn.done = None
        self._keep(turn)

    def _held_why(self, turn: Turn) -> str | None:
        """Why it may not be said now; a digest was asked for, and the daemon's own words end the holding."""
        return None if turn in self._digests else self._posture.holds(turn.announcement.urgency)

    def _is_duplicate(self, turn: Turn) -> bool:
        name, now = turn.announcement.id, _now()
        for known in [known for known, until in self.finished.items() if until <= now]:
            del self.finished[known]
        current = [self._current] if self._current else []
        return name in self.finished or any(
            other.announcement.id == name for other in (*self.backlog, *self.held, *current)
        )

    def _joins_current(self, turn: Turn) -> bool:
        current = self._current
        return (
            current is not None
            and self._verdict is None
            and turn.announcement.urgency is current.announcement.urgency is Urgency.CRITICAL
            and is_same_alarm(turn.announcement, current.announcement)
        )

    def _replace_older(self, turn: Turn) -> None:
        """The newer of a tag takes the older's place."""

        def older(other: Turn) -> bool:
            return replaces(turn.announcement, other.announcement)

        for other in [*self.backlog.take_if(older), *self.held.take_if(older)]:
            if other.announcement.urgency is turn.announcement.urgency:
                turn.number = min(turn.number, other.number)
            if turn.announcement.resolves and other.announcement.insists is not None:
                self._end(other, Step.FINISHED, "resolved")
            else:
                self._end(other, Step.REPLACED, f"by {turn.announcement.id}")

    def _holding_ended(self) -> None:
        policy = self.presence.manners.digest
        if policy == "off":
            for turn in self.held.take_if(lambda _: True):
                turn.release(_now())
                self._keep(turn)
        elif policy == "at_end":
            self.read_digest()
        elif len(self.held):
            said = held.announcement(
                words.waiting(len(self.held), self._language), self.name, _now(), tag="edgevoice-held"
            )
            self.add(self._speech_of(said))

    # ---- interruption --------------------------------------------------------------------------------

    def _settle(self) -> None:
        """After any change: wake the loop, let the more urgent cut in, tell the state."""
        self._changed.set()
        self._consider()
        self.show()

    def _consider(self) -> None:
        """Let what waits first do to what is being said what the rules say."""
        first, current = self.backlog.first(_now()) if len(self.backlog) else None, self._current
        if first is None or current is None or self._verdict is not None:
            return
        heard_s = current.position / current.speech.clip.rate
        what = against(first.announcement, current.announcement, heard_s)
        if what is Against.NOW or (what is Against.AT_PAUSE and not current.started):
            self._cut(Step.INTERRUPTED, None)
        elif what is Against.AT_PAUSE and "pause" not in self._beside:
            self._run_beside("pause", self._cut_at_pause(current))

    async def _cut_at_pause(self, turn: Turn) -> None:
        with contextlib.suppress(ClipError):
            await until_pause(turn)
        if turn is self._current:
            self._cut(Step.INTERRUPTED, None)

    def _cut(self, step: Step, reason: str | None) -> None:
        """End the current task; what becomes of its turn is the verdict. The first one given stands."""
        if self._task is not None and self._verdict is None:
            self._verdict = (step, reason)
            self._task.cancel()

    async def _unpark(self, turn: Turn) -> None:
        """Live text that fell silent lets others go first, until it has more to say."""
        with contextlib.suppress(ClipError):  # told when its turn comes
            await turn.speech.clip.read(turn.position, 2)
        turn.parked = False
        self._settle()

    def _run_beside(self, name: str, work: object) -> None:
        task = self._beside[name] = asyncio.create_task(work, name=f"{self.name} {name}")  # type: ignore[arg-type]
        task.add_done_callback(lambda _: self._beside.pop(name, None))

    def _stop_beside(self, name: str) -> None:
        if (task := self._beside.pop(name, None)) is not None:
            task.cancel()

    # ---- telling -------------------------------------------------------------------------------------

    @property
    def _language(self) -> str:
        return self.presence.manners.language

    def _preface(self, turn: Turn) -> Callable[[str], str] | None:
        """How a text that comes late says its age."""
        age, limit = _now() - turn.announcement.due, self.presence.manners.say_age
        if limit is None or age < limit:
            return None
        return lambda text: words.aged(text, age, self._language)

    def _started(self, turn: Turn) -> None:
        """The first sample of a round was handed over, or of what is left after an interruption."""
        if turn.first_sound is None:
            turn.first_sound = turn.first_speech or _now()
        turn.deadline = None
        self._deadline.reschedule(None)
        self._tell(turn, Step.RESUMED if turn.interruption else Step.STARTED)
        self.show()

    def _end_all(self, turns: Iterable[Turn], step: Step, reason: str) -> None:
        for turn in turns:
            self._end(turn, step, reason)

    def _end(self, turn: Turn, step: Step, reason: str | None = None) -> None:
        self._tell(turn, step, reason)
        if step is Step.FINISHED:
            self.finished[turn.announcement.id] = _now() + REMEMBERED
        turn.speech.leave()
        read = self._digests.pop(turn, [])
        if step is Step.FINISHED:
            self._end_all(read, Step.FINISHED, "digest")
            if read and len(self.held) and self.presence.manners.digest == "at_end":
                self.read_digest()
        else:
            self.held.put_back(read)

    def _tell(self, turn: Turn, step: Step, reason: str | None = None) -> None:
        event = turn.event(step, reason)
        level = logging.INFO if step.is_outcome else logging.DEBUG
        parts = [
            step.value,
            f"({reason})" if reason else "",
            f"over {event.transport}" if event.transport else "",
        ]
        logger.log(
            level, "%s: %s", self.name, " ".join(filter(None, parts)), extra={"ANNOUNCEMENT_ID": event.id}
        )
        self._observers.on_event(event, turn.announcement.origin)

    def show(self) -> None:
        """Tell the state to all observers, if it is another than they know."""
        if (state := self.state) != self._shown:
            self._shown = state
            self._observers.on_state(self.name, state)


def _now() -> float:
    return asyncio.get_running_loop().time()
