"""Race: which transport speaks a segment. The first one to deliver audio fills the clip, the others are cancelled.

A transport starts when the one before it has failed. For a critical segment others may start beside the first
one: a hedge, if it is later than usual, and the standby in time for the deadline, as in "happy eyeballs"
(RFC 8305). See docs/decisions/deadlines-and-hedging.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import takewhile
from typing import TYPE_CHECKING

from edgevoice.errors import AccountRefused, TransportError
from edgevoice.synthesis.attempt import AttemptTask, FirstAudioTimeoutError
from edgevoice.synthesis.deadlines import NO_SCHEDULE, fallback_schedule, first_audio_timeout, is_due
from edgevoice.synthesis.segments import LiveSegment, TextSegment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edgevoice.synthesis.context import SegmentJob, SynthesisContext


class LostRaceError(TransportError):
    """Another transport delivered audio first; nothing is wrong with this one."""


class Race:
    """Speaks one segment over the first of `candidates` that delivers audio; those that fail are taken out.

    Afterwards `winner` is the attempt that delivered audio, if any did, and `error` what it ended with too early.
    `failed` is called with each other transport that was tried without success, `append` is given the audio.
    """

    def __init__(
        self,
        job: SegmentJob,
        candidates: list[str],
        *,
        failed: Callable[[str, TransportError], None],
        append: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self.winner: AttemptTask | None = None
        self.error: TransportError | None = None
        self._job = job
        self._context = job.context
        self._speech = job.speech
        self._candidates = candidates
        self._failed = failed
        self._append = append
        self._running: dict[AttemptTask, asyncio.Task[None]] = {}
        self._tried: set[str] = set()
        self._standby: AttemptTask | None = None
        self._hedge: AttemptTask | None = None
        self._unmuted = asyncio.Event()
        self._news = asyncio.Event()
        self._schedule = NO_SCHEDULE
        self._may_hedge = self._context.hedging_enabled and isinstance(job.segment, TextSegment)

    async def run(self) -> None:
        """Run until the segment is spoken, or no transport is left that could speak it.

        Raises:
            EdgeVoiceError: the clip cannot be filled, whichever transport speaks.
        """
        following = asyncio.create_task(self._follow_priority())
        try:
            self._advance(_now())
            while self._running:
                await self._wait()
                done = [attempt for attempt, task in self._running.items() if task.done()]
                for attempt in done:
                    self._finish(attempt, self._running.pop(attempt))
                if self.winner in done:
                    break
                if self.winner is None and is_due(self._schedule.give_up, _now()):
                    self._give_up()
                    break
                if self.winner is None:
                    self._advance(_now())
        finally:
            following.cancel()
            await self._stop()

    async def _follow_priority(self) -> None:
        """Pass on each rise of the priority."""
        while True:
            await self._speech.wait_priority_raised()
            for attempt in self._running:
                attempt.raise_priority()
            self._news.set()

    async def _wait(self) -> None:
        """Wait until an attempt has news, or something is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._next_due(_now())):
                await self._news.wait()
        self._news.clear()

    def _next_due(self, now: float) -> float | None:
        if self.winner is not None:
            return None
        due = (self._schedule.next(now), self._hedge_at())
        return min((at for at in due if at is not None and at > now), default=None)

    def _advance(self, now: float) -> None:
        """Start every attempt that is due. The schedule is computed once, when the segment is first needed."""
        if self._schedule is NO_SCHEDULE:
            self._schedule = fallback_schedule(self._job, self._candidates, now)
        if all(attempt is self._standby for attempt in self._running):
            self._start_next()
        if is_due(self._hedge_at(), now):
            self._start_hedge()
        if is_due(self._schedule.start_local, now) and self._standby is None:
            standby = next((name for name in self._untried() if self._context.is_fallback(name)), None)
            if standby is not None:
                self._standby = self._start(standby)
        if is_due(self._schedule.unmute_local, now):
            self._unmuted.set()

    def _untried(self) -> list[str]:
        """Return the candidates not tried yet. Live text can only use those that accept a text stream."""
        names = self._candidates
        if isinstance(self._job.segment, LiveSegment):
            transports = self._context.transports
            names = list(takewhile(lambda name: transports[name].accepts_text_stream, names))
        return [name for name in names if name not in self._tried]

    def _start_next(self) -> None:
        """Start the next transport. Without one, the standby need not wait any longer."""
        if names := self._untried():
            if self._start(names[0]).account is not None:
                self._context.hedge_budget.earn()
        else:
            self._unmuted.set()

    def _start(self, name: str) -> AttemptTask:
        is_last_resort = len(self._candidates) == 1
        waits_for_standby = self._schedule.unmute_local is not None
        attempt = AttemptTask(
            self._job,
            name,
            timeout_s=self._context.timeouts.last_resort_s
            if is_last_resort or waits_for_standby
            else first_audio_timeout(self._job),
            is_last_resort=is_last_resort,
            on_asked=self._news.set,
        )
        self._tried.add(name)
        task = asyncio.create_task(attempt.run(self._write), name=f"{name}, {self._speech.announcement.id}")
        task.add_done_callback(lambda _: self._news.set())
        self._running[attempt] = task
        return attempt

    def _hedge_at(self) -> float | None:
        """Return when to hedge the only request that runs, apart from the standby."""
        trying = [attempt for attempt in self._running if attempt is not self._standby]
        if (
            self._hedge is not None
            or len(trying) != 1
            or self._schedule is NO_SCHEDULE
            or not self._may_hedge
        ):
            return None
        return hedge_at(self._context, trying[0], len(self._job.segment.text))

    def _start_hedge(self) -> None:
        if name := pick_hedge(self._context, self._untried()):
            self._hedge = self._start(name)
        elif self._standby is not None:
            self._unmuted.set()

    async def _write(self, attempt: AttemptTask, pcm: bytes) -> None:
        """Append audio of the winner, which is the first attempt to come here unmuted."""
        if self.winner is None:
            if attempt is self._standby:
                await self._unmuted.wait()
            self._win(attempt)
        await self._append(pcm)

    def _win(self, winner: AttemptTask) -> None:
        """Cancel the others, and let the winner speak what follows, in the same voice."""
        self._job.clip.check_open()
        self.winner = winner
        now = _now()
        self._speech.first_audio_at = self._speech.first_audio_at or now
        self._speech.transport = winner.name
        self._speech.spoken_by.add(winner.name)
        is_late = winner is self._standby and is_due(self._schedule.unmute_local, now)
        for attempt, task in self._running.items():
            if attempt is not winner:
                task.cancel()
                self._lost(attempt, winner, is_late=is_late)
        self._candidates[:] = [winner.name, *self._without(winner.name)]

    def _lost(self, attempt: AttemptTask, winner: AttemptTask, *, is_late: bool) -> None:
        if is_late:
            self._drop(attempt.name, _late(attempt))
        elif attempt is self._hedge:
            self._failed(attempt.name, LostRaceError(f"begun as {winner.name} was late, which spoke first"))
        elif attempt is not self._standby:
            self._failed(attempt.name, LostRaceError(f"later than usual; {winner.name} spoke first"))

    def _finish(self, attempt: AttemptTask, task: asyncio.Task[None]) -> None:
        """Handle an attempt that has ended."""
        error = None if task.cancelled() else task.exception()
        if error is None or self.winner not in (None, attempt):
            return
        if not isinstance(error, TransportError):
            raise error
        if self.winner is None:
            self._drop(attempt.name, error)
        else:
            self.error = error

    def _drop(self, name: str, error: TransportError) -> None:
        """Take out a transport that failed; if its account was refused, the others of that account, too."""
        self._failed(name, error)
        is_refused = isinstance(error, AccountRefused)
        survivors = self._context.survivors(name, self._candidates)
        self._candidates[:] = survivors if is_refused else self._without(name)

    def _without(self, name: str) -> list[str]:
        return [other for other in self._candidates if other != name]

    def _give_up(self) -> None:
        """Drop all but the fallbacks that were not asked: the deadline is over."""
        for attempt in self._running:
            self._drop(attempt.name, _late(attempt))
        self._candidates[:] = [name for name in self._candidates if self._context.is_fallback(name)]

    async def _stop(self) -> None:
        """Cancel what runs. A clean-up that hangs must not keep a slot of the account."""
        attempts = {task: attempt for attempt, task in self._running.items()}
        for task in attempts:
            task.cancel()
        if attempts:
            _, hanging = await asyncio.wait(attempts, timeout=self._context.timeouts.cancel_s)
            for task in hanging:
                attempts[task].abandon()
            for task in attempts:
                task.add_done_callback(_ignore_error)


def hedge_at(context: SynthesisContext, attempt: AttemptTask, characters: int) -> float | None:
    """Return the monotonic second from which on a request is late; None if too little is known."""
    if attempt.asked_at is None or attempt.account is None:
        return None
    late_s = context.latency.late_after(attempt.name, characters, warm=attempt.warm)
    return None if late_s is None else attempt.asked_at + late_s


def pick_hedge(context: SynthesisContext, names: Sequence[str]) -> str | None:
    """Return the first transport to hedge with: without a limit, or with a free slot and hedge budget left."""
    for name in names:
        limiter = context.limiter(name)
        if limiter is None:
            return name
        if limiter.has_room and context.hedge_budget.allows:
            context.hedge_budget.spend()
            return name
    return None


def _ignore_error(task: asyncio.Task[None]) -> None:
    """Retrieve the error of an attempt that was cancelled, which is no news."""
    _ = task.cancelled() or task.exception()


def _late(attempt: AttemptTask) -> FirstAudioTimeoutError:
    waited = "no audio in time" if attempt.asked_at else "no slot of the account in time"
    return FirstAudioTimeoutError(f"timed out: {waited}")


def _now() -> float:
    return asyncio.get_running_loop().time()
