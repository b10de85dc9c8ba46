"""Who speaks a part: the transports that are left, in their order; the first to sound fills the clip.

The next one begins where one failed. For a critical part another may begin while the first still tries: a hedge
where it is later than usual, and the local voice in time for the deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import takewhile
from typing import TYPE_CHECKING

from edgevoice.errors import AccountRefused, TransportError
from edgevoice.synthesis.attempt import AttemptTask, FirstAudioTimeout
from edgevoice.synthesis.deadlines import (
    LAST_RESORT_TIMEOUT_S,
    NO_SCHEDULE,
    fallback_schedule,
    first_audio_timeout,
    is_due,
)
from edgevoice.synthesis.segments import LiveSegment, TextSegment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edgevoice.synthesis.context import SegmentJob, SynthesisContext

CANCEL_TIMEOUT_S = 1.0
"""Seconds that are waited for those who are stopped to cancel their requests."""


class LostRace(TransportError):
    """Another sounded first; nothing is wrong with this one."""


class Race:
    """Fills one passage. `left` are the transports to try, in order; those that fail are taken out of it.

    Afterwards `winner` is who sounded, None if nobody did, and `error` what it broke off with. `failed` is told
    of each other that was tried in vain, `append` is given the audio.
    """

    def __init__(
        self,
        passage: SegmentJob,
        left: list[str],
        *,
        failed: Callable[[str, TransportError], None],
        append: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self.winner: AttemptTask | None = None
        self.error: TransportError | None = None
        self._passage = passage
        self._means = passage.means
        self._speech = passage.speech
        self._part = passage.part
        self._left = left
        self._failed = failed
        self._append = append
        self._running: dict[AttemptTask, asyncio.Task[None]] = {}
        self._tried: set[str] = set()
        self._understudy: AttemptTask | None = None
        self._hedge: AttemptTask | None = None
        self._may_sound = asyncio.Event()
        self._news = asyncio.Event()
        self._cues = NO_SCHEDULE
        self._may_hedge = self._means.hedging_enabled and isinstance(self._part, TextSegment)

    async def run(self) -> None:
        """Let them run until the part is spoken, or nobody is left that could.

        Raises:
            EdgeVoiceError: the clip cannot be filled, whoever speaks.
        """
        self._speech.on_priority_change = self._raise_priority
        try:
            self._advance(_now())
            while self._running:
                await self._wait()
                done = [asking for asking, task in self._running.items() if task.done()]
                for asking in done:
                    self._take(asking, self._running.pop(asking))
                if self.winner in done:
                    break
                if self.winner is None and is_due(self._cues.give_up, _now()):
                    self._give_up()
                    break
                if self.winner is None:
                    self._advance(_now())
        finally:
            await self._stop()

    def _raise_priority(self) -> None:
        for asking in self._running:
            asking.raise_priority()
        self._news.set()

    async def _wait(self) -> None:
        """Until somebody has news, or a moment has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._next_moment(_now())):
                await self._news.wait()
        self._news.clear()

    def _next_moment(self, now: float) -> float | None:
        if self.winner is not None:
            return None
        cue, hedge = self._cues.next(now), self._hedge_at()
        return min((at for at in (cue, hedge) if at is not None and at > now), default=None)

    def _advance(self, now: float) -> None:
        """Begin who is to begin now; the cues hold from the first moment at which they are known."""
        if self._cues is NO_SCHEDULE:
            self._cues = fallback_schedule(self._passage, self._left, now)
        if all(asking is self._understudy for asking in self._running):
            self._begin_next()
        if is_due(self._hedge_at(), now):
            self._begin_hedge()
        if is_due(self._cues.start_local, now) and self._understudy is None:
            standby = next((name for name in self._untried() if self._means.is_fallback(name)), None)
            if standby is not None:
                self._understudy = self._begin(standby)
        if is_due(self._cues.unmute_local, now):
            self._may_sound.set()

    def _untried(self) -> list[str]:
        """Those who could still begin: for live text as it arrives, only who takes it so."""
        names = self._left
        if isinstance(self._part, LiveSegment):
            names = list(takewhile(lambda name: self._means.transports[name].accepts_text_stream, names))
        return [name for name in names if name not in self._tried]

    def _begin_next(self) -> None:
        """Begin the next one; where there is none, the understudy need not wait any longer."""
        if names := self._untried():
            if self._begin(names[0]).account is not None:
                self._means.budget.earn()
        else:
            self._may_sound.set()

    def _begin(self, name: str) -> AttemptTask:
        alone = len(self._left) == 1
        asking = AttemptTask(
            self._passage,
            name,
            within=LAST_RESORT_TIMEOUT_S
            if alone or self._cues.unmute_local is not None
            else first_audio_timeout(self._passage),
            alone=alone,
            on_asked=self._news.set,
        )
        self._tried.add(name)
        task = asyncio.create_task(asking.run(self._write), name=f"{name}, {self._speech.announcement.id}")
        task.add_done_callback(lambda _: self._news.set())
        self._running[asking] = task
        return asking

    def _hedge_at(self) -> float | None:
        """When a hedge is to begin, beside the only one that still tries."""
        trying = [asking for asking in self._running if asking is not self._understudy]
        if self._hedge is not None or len(trying) != 1 or self._cues is NO_SCHEDULE or not self._may_hedge:
            return None
        return hedge_at(self._means, trying[0], len(self._part.text))

    def _begin_hedge(self) -> None:
        if name := pick_hedge(self._means, self._untried()):
            self._hedge = self._begin(name)
        elif self._understudy is not None:
            self._may_sound.set()

    async def _write(self, asking: AttemptTask, pcm: bytes) -> None:
        """Append audio of the winner, who is the first to come here."""
        if self.winner is None:
            if asking is self._understudy:
                await self._may_sound.wait()
            self._win(asking)
        await self._append(pcm)

    def _win(self, winner: AttemptTask) -> None:
        """The others are stopped at once; what is to come is spoken in the same voice."""
        self._passage.clip.check_open()
        self.winner = winner
        now = _now()
        self._speech.first_audio_at = self._speech.first_audio_at or now
        self._speech.transport = winner.name
        self._speech.spoken_by.add(winner.name)
        for asking, task in self._running.items():
            if asking is not winner:
                task.cancel()
                self._lost(
                    asking, winner, late=winner is self._understudy and is_due(self._cues.unmute_local, now)
                )
        self._left[:] = [winner.name, *self._without(winner.name)]

    def _lost(self, asking: AttemptTask, winner: AttemptTask, *, late: bool) -> None:
        if late:
            self._leaves(asking.name, _late(asking))
        elif asking is self._hedge:
            self._failed(asking.name, LostRace(f"begun as {winner.name} was late, which spoke first"))
        elif asking is not self._understudy:
            self._failed(asking.name, LostRace(f"later than usual; {winner.name} spoke first"))

    def _take(self, asking: AttemptTask, task: asyncio.Task[None]) -> None:
        """Take note of one that has ended."""
        error = None if task.cancelled() else task.exception()
        if error is None or self.winner not in (None, asking):
            return
        if not isinstance(error, TransportError):
            raise error
        if self.winner is None:
            self._leaves(asking.name, error)
        else:
            self.error = error

    def _leaves(self, name: str, error: TransportError) -> None:
        """It was tried in vain; where the account is refused, only the local voice can help."""
        self._failed(name, error)
        refused = isinstance(error, AccountRefused)
        self._left[:] = self._means.survivors(name, self._left) if refused else self._without(name)

    def _without(self, name: str) -> list[str]:
        return [other for other in self._left if other != name]

    def _give_up(self) -> None:
        """Nobody sounded in time; what the local voice was not asked yet, it may still say."""
        for asking in self._running:
            self._leaves(asking.name, _late(asking))
        self._left[:] = [name for name in self._left if self._means.is_fallback(name)]

    async def _stop(self) -> None:
        for task in self._running.values():
            task.cancel()
        if self._running:
            left, _ = await asyncio.wait(self._running.values(), timeout=CANCEL_TIMEOUT_S)
            for task in left:
                _ = (
                    task.cancelled() or task.exception()
                )  # what a request fails with that was given up is no news


def _late(asking: AttemptTask) -> FirstAudioTimeout:
    waited = "no audio in time" if asking.asked_at else "no place at the gate in time"
    return FirstAudioTimeout(f"timed out: {waited}")


def _now() -> float:
    return asyncio.get_running_loop().time()


def hedge_at(means: SynthesisContext, asking: AttemptTask, chars: int) -> float | None:
    """The monotonic second from which on this one is later than nearly always; None where that is not known."""
    if asking.asked_at is None or asking.account is None:
        return None
    late = means.forecast.late_after(asking.name, chars, asking.warm)
    return None if late is None else asking.asked_at + late


def pick_hedge(means: SynthesisContext, names: Sequence[str]) -> str | None:
    """The first that may be asked, too: one that takes nobody's place and is allowed, or one that needs none."""
    for name in names:
        limiter = means.limiter(name)
        if limiter is None:
            return name
        if limiter.has_room and means.budget.allows:
            means.budget.spend()
            return name
    return None
