"""A speaker: says one announcement at a time, the most urgent first, and gives each exactly one outcome."""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgevoice import volume
from edgevoice.announcement import Urgency
from edgevoice.backlog import Backlog
from edgevoice.errors import ClipError, OutputError
from edgevoice.outcome import Now, SpeakerState, Step
from edgevoice.playing import Playing
from edgevoice.rules import interrupts
from edgevoice.turn import Turn

if TYPE_CHECKING:
    from edgevoice.config.options import Speaker as Options
    from edgevoice.faults import Faults
    from edgevoice.observers import Observers
    from edgevoice.plugin import Output
    from edgevoice.speech import Speech

logger = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds between attempts to have a lost output back."""


class Speaker:
    """One named output with a queue of its own; `run` says what is added to it."""

    def __init__(
        self, name: str, output: Output, options: Options, *, limit: int, observers: Observers, faults: Faults
    ) -> None:
        self.name = name
        self.backlog = Backlog(limit)
        self._output = output
        self._options = options
        self._observers = observers
        self._faults = faults
        self._numbers = itertools.count(1)
        self._interruptions = itertools.count(1)
        self._changed = asyncio.Event()
        self._current: Turn | None = None
        self._since = datetime.now(UTC)
        self._task: asyncio.Task[None] | None = None
        self._verdict: tuple[Step, str | None] | None = None
        self._parking: set[asyncio.Task[None]] = set()
        self._shown: SpeakerState | None = None

    def add(self, speech: Speech) -> None:
        """Accept an announcement; from here on it ends in exactly one outcome."""
        floor = self._options.critical_volume if speech.announcement.urgency is Urgency.CRITICAL else None
        loud = volume.effective(speech.announcement.volume, self._options.volume, floor=floor)
        turn = Turn(speech, self.name, next(self._numbers), loud)
        self._tell(turn, Step.QUEUED)
        if (given_up := self.backlog.add(turn)) is not None:
            self._end(given_up, Step.SUPPRESSED, "overflow")
        self._cut_in()
        self._settle()

    def stop(self, what: str) -> None:
        """Stop what is being said and all it interrupted (""), everything ("all"), or an id, else a tag."""

        def named(turn: Turn) -> bool:
            return what in (turn.announcement.id, turn.announcement.tag)

        def wanted(turn: Turn) -> bool:
            return {"": turn.interruption > 0, "all": True}.get(what, named(turn))

        for turn in self.backlog.take_if(wanted):
            self._end(turn, Step.CANCELLED, "stop")
        if self._current and (what in ("", "all") or named(self._current)):
            self._cut(Step.CANCELLED, "stop")
        self._settle()

    async def drain(self, within: float) -> None:
        """Let what is being said end, for at most `within` seconds; what waits ends as failed."""
        for turn in self.backlog.take_if(lambda _: True):
            self._end(turn, Step.FAILED, "restart")
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=within)
        if self._task is not None:
            self._cut(Step.FAILED, "restart")
            await asyncio.wait({self._task})

    @property
    def state(self) -> SpeakerState:
        """What it is doing, as published."""
        turn, broken = self._current, self._faults.own(self.name)
        saying = turn.announcement if turn is not None and turn.started else None
        now = Now(saying.id, saying.urgency, self._since) if saying is not None else None
        return SpeakerState(
            state="fault" if broken else "speaking" if now else "idle",
            now=now,
            queue=len(self.backlog),
            volume=self._options.volume,
            fault=self._faults.of(self.name),
        )

    async def run(self) -> None:
        """Say what is added, for ever."""
        while True:
            turn = await self._next()
            self._current, self._verdict = turn, None
            self._since = datetime.now(UTC)
            self.show()
            self._task = asyncio.create_task(self._say(turn), name=f"{self.name} says {turn.announcement.id}")
            expiry = asyncio.get_running_loop().call_at(turn.announcement.expires, self._expire, turn)
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                self._task.cancel()
                await asyncio.wait({self._task})
                raise
            finally:
                expiry.cancel()
            task, self._task, self._current = self._task, None, None
            self._conclude(turn, task)

    async def _next(self) -> Turn:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            now = loop.time()
            for stale in self.backlog.expired(now):
                self._end(stale, Step.EXPIRED, "ttl")
            if (turn := self.backlog.first(now)) is not None:
                self.backlog.remove(turn)
                return turn
            self.show()
            try:
                async with asyncio.timeout_at(self.backlog.next_change(now)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _say(self, turn: Turn) -> None:
        """Play the clip from where it stands; a lost output is tried again while the announcement may wait."""
        turn.speech.begin()
        while True:
            playing = Playing(
                turn, self._started, lambda: self.backlog.first(asyncio.get_running_loop().time())
            )
            try:
                await self._output.play(playing.audio(), turn.speech.clip.rate, playing)
            except OutputError as error:
                self._faults.set(f"speaker {self.name}", str(error))
                if asyncio.get_running_loop().time() + RETRY > turn.announcement.expires:
                    raise
                await asyncio.sleep(RETRY)
            else:
                self._faults.set(f"speaker {self.name}", None)
                return

    def _conclude(self, turn: Turn, task: asyncio.Task[None]) -> None:
        """Give the turn its outcome, or put it back."""
        turn.done = asyncio.get_running_loop().time()
        error = None if task.cancelled() else task.exception()
        if self._verdict is not None and self._verdict[0] is Step.INTERRUPTED:
            self._put_back(turn)
        elif self._verdict is not None:
            self._end(turn, *self._verdict)
        elif turn.parked:
            self._park(turn)
        elif error is not None:
            if not isinstance(error, OutputError):
                logger.error("%s broke", self.name, exc_info=error)
            self._end(turn, Step.FAILED, str(error) or type(error).__name__)
        elif turn.error is not None:
            self._end(turn, Step.FAILED, str(turn.error))
        elif not turn.started:
            self._end(turn, Step.FAILED, "there was nothing to say")
        else:
            self._end(turn, Step.FINISHED)

    def _cut_in(self) -> None:
        """Let a critical one that waits cut in on anything less."""
        first = self.backlog.first(asyncio.get_running_loop().time())
        if first is None or self._current is None or self._verdict is not None:
            return
        if interrupts(first.announcement.urgency, self._current.announcement.urgency):
            self._cut(Step.INTERRUPTED, f"{first.announcement.urgency} {first.announcement.id}")

    def _cut(self, step: Step, reason: str | None) -> None:
        """End the current task; what becomes of its turn is the verdict. The first one given stands."""
        if self._task is not None and self._verdict is None:
            self._verdict = (step, reason)
            self._task.cancel()

    def _expire(self, turn: Turn) -> None:
        if turn is self._current and not turn.started:
            self._cut(Step.EXPIRED, "ttl")

    def _put_back(self, turn: Turn) -> None:
        if turn.started:
            turn.interruption = next(self._interruptions)
            self._tell(turn, Step.INTERRUPTED)
        turn.done = None
        if (given_up := self.backlog.add(turn)) is not None:
            self._end(given_up, Step.SUPPRESSED, "overflow")

    def _park(self, turn: Turn) -> None:
        """Live text that fell silent lets others go first, until it has more to say."""
        self._put_back(turn)
        waiting = asyncio.create_task(self._unpark(turn), name=f"{self.name} parks {turn.announcement.id}")
        self._parking.add(waiting)
        waiting.add_done_callback(self._parking.discard)

    async def _unpark(self, turn: Turn) -> None:
        try:
            await turn.speech.clip.read(turn.position, 2)
        except ClipError:
            pass  # told when its turn comes
        finally:
            turn.parked = False
            self._changed.set()

    def _started(self, turn: Turn) -> None:
        """Its first sample was handed over: for the first time, or again after an interruption."""
        resumed = turn.first_sound is not None
        if not resumed:
            turn.first_sound = asyncio.get_running_loop().time()
        self._tell(turn, Step.RESUMED if resumed else Step.STARTED)
        self.show()

    def _end(self, turn: Turn, step: Step, reason: str | None = None) -> None:
        self._tell(turn, step, reason)
        turn.speech.leave()

    def _tell(self, turn: Turn, step: Step, reason: str | None = None) -> None:
        event = turn.event(step, reason)
        level = logging.INFO if step.is_outcome else logging.DEBUG
        logger.log(level, "%s: %s %s", self.name, step, reason or "", extra={"ANNOUNCEMENT_ID": event.id})
        self._observers.on_event(event, turn.announcement.origin)

    def show(self) -> None:
        """Tell the state to all observers, if it is another than they know."""
        if (state := self.state) != self._shown:
            self._shown = state
            self._observers.on_state(self.name, state)

    def _settle(self) -> None:
        """After a change from outside: wake the loop, and tell the state."""
        self._changed.set()
        self.show()
