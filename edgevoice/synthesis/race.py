"""How a clip is filled: segment by segment, each by a race of transports, of which each makes an attempt.

The first transport to deliver audio fills the clip, the others are cancelled. A transport starts when the one before
it has failed. For a critical segment others may start beside the first one: a hedge, if it is later than usual, and
the standby in time for the deadline, as in "happy eyeballs" (RFC 8305). If the winner breaks off, another transport
continues. See docs/decisions/deadlines-and-hedging.md.

Length: the three classes are one file because each step of a request passes through all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from edgevoice import logs
from edgevoice.announcement import Priority, Urgency
from edgevoice.audio import BYTES_PER_FRAME
from edgevoice.audio.gain import Ramp, fade_tail
from edgevoice.errors import AccountRefused, EdgeVoiceError, TransportError
from edgevoice.outcome import Attempt
from edgevoice.synthesis.concurrency import Preempted
from edgevoice.synthesis.segments import segments_of, unspoken_offset

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from edgevoice.plugin import WordMark
    from edgevoice.synthesis.concurrency import Slot
    from edgevoice.synthesis.segments import Segment
    from edgevoice.synthesis.synthesizer import SpeechJob, SynthesisContext

logger = logging.getLogger(__name__)


class ClipFiller:
    """Speaks the segments of a speech job in order; if a request fails, another transport continues."""

    def __init__(self, context: SynthesisContext, speech: SpeechJob) -> None:
        self.context = context
        self.speech = speech
        #: The clip that is filled; the job may have a new one by then.
        self.clip = speech.clip
        #: The transports that have not failed, in the order in which they are tried.
        self.candidates: list[str] = []
        self._race: Race | None = None
        self._has_repeated = False
        self._ramp = Ramp(0)

    async def run(self, order: Sequence[str]) -> None:
        """Speak all segments over the transports of `order`.

        Raises:
            EdgeVoiceError: no transport speaks what is left, or the clip cannot hold it.
        """
        self.candidates = list(order)
        speech, options = self.speech, self.context.speech
        async for segment in segments_of(
            speech.announcement, speech.text, options, self._accepts_text_stream
        ):
            start = self.clip.frames
            race = self._race = Race(self, segment)
            await race.run()
            if race.winner is None:
                if not self.candidates:
                    raise TransportError(_all_failed(speech.attempts))
                segment.end = segment.start  # for a transport that takes it in another form
            elif race.error is not None:
                await self._resume_after_failure(segment, start, race.winner, race.error)

    def priority_raised(self) -> None:
        """Apply the deadlines of the job's new priority."""
        if self._race is not None:
            self._race.priority_raised()

    async def append(self, pcm: bytes) -> None:
        """Append audio; it fades in after a failure."""
        await self.clip.append(self._ramp.apply(pcm))

    def failed(self, name: str, error: TransportError) -> None:
        """Record a failed attempt. A server may answer with the very key it was sent: redact it."""
        why = logs.redact(str(error))
        self.speech.attempts.append(Attempt(name, why))
        logger.warning("%s: %s", name, why, extra={"ANNOUNCEMENT_ID": self.speech.announcement.id})
        account = self.context.transports[name].account
        if isinstance(error, AccountRefused) and account is not None:
            self.context.fault(account, why)

    def drop(self, name: str, error: TransportError) -> None:
        """Take out a transport that failed; if its account was refused, the others of that account, too."""
        self.failed(name, error)
        transports = self.context.transports
        account = transports[name].account if isinstance(error, AccountRefused) else None
        others = [other for other in self.candidates if other != name]
        self.candidates = [
            other for other in others if account is None or transports[other].account != account
        ]

    def _accepts_text_stream(self) -> bool:
        return bool(self.candidates) and self.context.transports[self.candidates[0]].accepts_text_stream

    async def _resume_after_failure(
        self, segment: Segment, start: int, attempt: AttemptTask, error: TransportError
    ) -> None:
        """Fade out what was spoken, append a short silence, and leave the words not yet spoken to the next segment."""
        clip, speech = self.clip, self.speech
        seconds = (clip.frames - start) / clip.rate
        await clip.append(fade_tail(await clip.excerpt(clip.frames - 1, clip.frames), clip.rate))
        self._ramp, speech.is_faithful = Ramp(clip.rate), False
        is_refused = isinstance(error, AccountRefused)
        broken = f"{error}, after {seconds:.1f} s of speech"
        self.drop(attempt.name, AccountRefused(broken) if is_refused else TransportError(broken))
        if not self.candidates and not is_refused and not self._has_repeated:
            self._has_repeated = True  # the only one may continue itself, once
            self.candidates = [attempt.name]
        if not self.candidates:
            raise TransportError(logs.redact(broken))
        speed = speech.announcement.speed or self.context.speech.speed
        segment.end = segment.start + unspoken_offset(segment.text, seconds, attempt.marks, speed)


class FallbackSchedule(NamedTuple):
    """When the standby (fallback) voice helps a critical segment; monotonic seconds, None without a standby.

    It starts at `start_local` and is unmuted at `unmute_local`, unless a transport delivered audio first. At
    `give_up` the segment fails.
    """

    start_local: float | None
    unmute_local: float | None
    give_up: float


class Race:
    """Speaks one segment over the first of the filler's candidates that delivers audio; those that fail are taken out.

    Afterwards `winner` is the attempt that delivered audio, if any did, and `error` what it ended with too early.
    """

    def __init__(self, filler: ClipFiller, segment: Segment) -> None:
        self.filler = filler
        self.segment = segment
        self.winner: AttemptTask | None = None
        self.error: TransportError | None = None
        self._context = filler.context
        self._speech = filler.speech
        self._running: dict[AttemptTask, asyncio.Task[None]] = {}
        self._tried: set[str] = set()
        self._standby: AttemptTask | None = None
        self._hedge: AttemptTask | None = None
        self._schedule: FallbackSchedule | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._unmuted = asyncio.Event()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Run until the segment is spoken, or no transport is left that could speak it.

        Raises:
            EdgeVoiceError: the clip cannot be filled, whichever transport speaks.
        """
        try:
            self.priority_raised()
            self._start_next()
            await self._over
        finally:
            for timer in self._timers:
                timer.cancel()
            await self._stop()

    # The deadlines: those of critical segments are shorter once a speaker waits.

    @property
    def _is_pressing(self) -> bool:
        """Whether a speaker is silent until this critical speech is there."""
        speech = self._speech
        return speech.announcement.urgency is Urgency.CRITICAL and speech.priority is Priority.NEEDED_NOW

    @property
    def first_audio_timeout_s(self) -> float:
        """Seconds to the first audio of a request, where another transport is left."""
        urgency = self._speech.announcement.urgency
        if urgency is Urgency.CRITICAL and not self._is_pressing:
            urgency = Urgency.HIGH
        delay_s = 0 if self.segment.live is None else self._context.timeouts.live_text_s
        return self._context.core.first_audio_within(urgency) + delay_s

    def next_audio_timeout_s(self, now: float) -> float:
        """Return the seconds to the next audio: critical speech fails over as soon as its buffer runs out."""
        stall_s = self._context.timeouts.stall_s
        if not self._is_pressing:
            return stall_s
        return min(stall_s, max(0.0, self._speech.runs_out_at - now) + self._context.core.critical_deadline)

    def fallback_schedule(self, now: float) -> FallbackSchedule | None:
        """Return the schedule of a segment that is needed from now on; None for the only transport left."""
        speech, timeouts, candidates = self._speech, self._context.timeouts, self.filler.candidates
        if not self._is_pressing or len(candidates) == 1:
            return None
        # The first segment was needed before now: cache and concurrency limiter are within its deadline.
        is_first = speech.text is not None and not self.filler.clip.frames
        deadline_s = self.first_audio_timeout_s
        due = max(speech.runs_out_at, 0.0 if is_first else now) + deadline_s
        if self.segment.live is not None or not any(map(self._context.is_fallback, candidates)):
            return FallbackSchedule(None, None, due)
        start_local = due - deadline_s * timeouts.standby_lead_share
        return FallbackSchedule(start_local, due, due + timeouts.standby_grace_s)

    def priority_raised(self) -> None:
        """Shorten the timeouts. The schedule is computed once, when the segment is first needed."""
        for attempt in self._running:
            attempt.priority_raised()
        if self._schedule is not None or (schedule := self.fallback_schedule(_now())) is None:
            return
        self._schedule = schedule
        self._at(schedule.start_local, self._start_standby)
        self._at(schedule.unmute_local, self._unmuted.set)
        self._at(schedule.give_up, self._give_up)
        for attempt in self._running:
            self.asked(attempt)

    def _at(self, moment: float | None, act: Callable[[], None]) -> None:
        """Do something at a monotonic moment, if the segment waits for its first audio then."""

        def act_if_waiting() -> None:
            if self.winner is None and not self._over.done():
                with self._failing_the_race():
                    act()

        if moment is not None:
            self._timers.append(asyncio.get_running_loop().call_at(moment, act_if_waiting))

    # The attempts

    def _untried(self) -> list[str]:
        """Return the candidates not tried yet. Live text can only use those that accept a text stream."""
        names, transports = self.filler.candidates, self._context.transports
        if self.segment.live is not None:
            names = list(takewhile(lambda name: transports[name].accepts_text_stream, names))
        return [name for name in names if name not in self._tried]

    def _start_next(self) -> None:
        """Start the next transport. Without one, the standby need not wait any longer."""
        if names := self._untried():
            if self._start(names[0]).account is not None:
                self._context.hedge_budget.earn()
        elif self._running:
            self._unmuted.set()
        else:
            self._over.set_result(None)

    def _start(self, name: str) -> AttemptTask:
        is_last_resort = len(self.filler.candidates) == 1
        waits_for_standby = self._schedule is not None and self._schedule.unmute_local is not None
        is_patient = is_last_resort or waits_for_standby
        timeout_s = self._context.timeouts.last_resort_s if is_patient else self.first_audio_timeout_s
        attempt = AttemptTask(self, name, timeout_s=timeout_s, is_last_resort=is_last_resort)
        self._tried.add(name)
        task = asyncio.create_task(attempt.run(), name=f"{name}, {self._speech.announcement.id}")
        task.add_done_callback(lambda task: self._ended(attempt, task))
        self._running[attempt] = task
        return attempt

    def _start_standby(self) -> None:
        if name := next(filter(self._context.is_fallback, self._untried()), None):
            self._standby = self._start(name)

    def asked(self, attempt: AttemptTask) -> None:
        """Hedge a request that has left, once it is later than usual; only for critical segments."""
        asked_at, latency = attempt.asked_at, self._context.latency
        is_hedged = self._schedule is not None and self._context.hedging_enabled and self.segment.live is None
        if not is_hedged or asked_at is None or attempt.account is None:
            return
        late_s = latency.late_after(attempt.name, len(self.segment.text), warm=attempt.warm)
        if late_s is not None:
            self._at(asked_at + late_s, lambda: self._start_hedge(attempt, asked_at))

    def _start_hedge(self, late: AttemptTask, asked_at: float) -> None:
        """Start the first transport without a limit, or with a free slot and hedge budget left."""
        if self._hedge is not None or late not in self._running or late.asked_at != asked_at:
            return
        for name in self._untried():
            limiter = self._context.limiter(name)
            if limiter is None or (limiter.has_room and self._context.hedge_budget.spend()):
                self._hedge = self._start(name)
                return
        if self._standby is not None:
            self._unmuted.set()

    async def write(self, attempt: AttemptTask, pcm: bytes) -> None:
        """Append audio of the winner, which is the first attempt to come here unmuted."""
        if self.winner is None:
            if attempt is self._standby:
                await self._unmuted.wait()
            if self._over.done():  # given up in this very step of the event loop, and not cancelled yet
                raise TransportError("timed out: the deadline is over")
            self._win(attempt)
        elif self.winner is not attempt:  # its transport ignores that it was cancelled
            raise TransportError("another transport spoke first")
        await self.filler.append(pcm)

    def _win(self, winner: AttemptTask) -> None:
        """Cancel the others, and let the winner speak what follows, in the same voice."""
        self.filler.clip.check_open()
        self.winner, speech, now = winner, self._speech, _now()
        speech.first_audio_at = speech.first_audio_at or now
        speech.transport = winner.name
        speech.spoken_by.add(winner.name)
        unmute_local = self._schedule and self._schedule.unmute_local
        is_late = winner is self._standby and unmute_local is not None and now >= unmute_local
        for attempt, task in self._running.items():
            if attempt is winner:
                continue
            task.cancel()
            if is_late:
                self.filler.drop(attempt.name, _late(attempt))
            elif attempt is not self._standby:
                why = f"later than usual; {winner.name} spoke first"
                if attempt is self._hedge:
                    why = f"begun as {winner.name} was late, which spoke first"
                self.filler.failed(attempt.name, TransportError(why))
        others = [name for name in self.filler.candidates if name != winner.name]
        self.filler.candidates = [winner.name, *others]

    @contextlib.contextmanager
    def _failing_the_race(self) -> Iterator[None]:
        """Let an exception end `run`: in a callback of the event loop it would only be logged."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - passed on
            if not self._over.done():
                self._over.set_exception(error)

    def _ended(self, attempt: AttemptTask, task: asyncio.Task[None]) -> None:
        with self._failing_the_race():
            self._take_result(attempt, task)

    def _take_result(self, attempt: AttemptTask, task: asyncio.Task[None]) -> None:
        del self._running[attempt]
        error = TransportError("broke: it was cancelled") if task.cancelled() else task.exception()
        if self._over.done() or self.winner not in (None, attempt):
            return  # the race has cancelled it
        if error is not None and not isinstance(error, TransportError):
            self._over.set_exception(error)
        elif error is None or self.winner is attempt:
            self.error = error
            self._over.set_result(None)
        else:
            self.filler.drop(attempt.name, error)
            if all(other is self._standby for other in self._running):
                self._start_next()

    def _give_up(self) -> None:
        """Drop all but the fallbacks that were not asked: the deadline is over."""
        for attempt in self._running:
            self.filler.drop(attempt.name, _late(attempt))
        self.filler.candidates = list(filter(self._context.is_fallback, self.filler.candidates))
        self._over.set_result(None)

    async def _stop(self) -> None:
        """Cancel what runs. A clean-up that hangs must not keep a slot of the account."""
        attempts = {task: attempt for attempt, task in self._running.items()}
        for task in attempts:
            task.cancel()
        if attempts:
            _, hanging = await asyncio.wait(attempts, timeout=self._context.timeouts.cancel_s)
            for task in hanging:
                attempts[task].abandon()


class AttemptTask:
    """Speaks a segment over one transport; asks again if its slot was revoked.

    `timeout_s` limits the time to its first audio. With `is_last_resort` no transport is left to fail over to,
    so it may pause for longer.
    """

    def __init__(self, race: Race, name: str, *, timeout_s: float, is_last_resort: bool) -> None:
        self.name = name
        self.account = race.filler.context.transports[name].account
        #: When the request left, in monotonic seconds.
        self.asked_at: float | None = None
        #: Whether it had an open connection.
        self.warm = False
        #: Frames that it delivered.
        self.frames = 0
        #: The times of its words, if the transport tells them.
        self.marks: list[WordMark] = []
        self._race = race
        self._context = race.filler.context
        self._speech = race.filler.speech
        self._timeout_s = timeout_s
        self._is_last_resort = is_last_resort
        self._limit: asyncio.Timeout | None = None
        self._slot: Slot | None = None

    async def run(self) -> None:
        """Ask until all audio is there, resuming where a revoked request stopped.

        Raises:
            TransportError: it delivered no audio, or not all of it; `frames` tells which.
        """
        transport, segment = self._context.transports[self.name], self._race.segment
        limiter = self._context.limiter(self.name)
        while True:
            slot = contextlib.nullcontext() if limiter is None else limiter.acquire(self._speech, self.name)
            try:
                async with asyncio.timeout(self._context.timeouts.slot_s) as waiting, slot as self._slot:
                    waiting.reschedule(None)
                    warm, length = transport.is_warm, None if segment.live else len(segment.text)
                    with self._context.latency.timed(self.name, length, warm=warm) as first_audio:
                        await self._receive(first_audio)
            except Preempted:
                continue
            except TimeoutError:
                raise TransportError("timed out: no slot of the account in time") from None
            if not self.frames:
                raise TransportError("the server sent no audio")
            if self.account is not None:
                self._context.fault(self.account, None)
            return

    def priority_raised(self) -> None:
        """Shorten the stall timeout of a running request to that of its new priority."""
        limit = self._limit
        if limit is not None and (at := limit.when()) is not None and self.frames and not limit.expired():
            limit.reschedule(min(at, self._stalls_at()))

    def abandon(self) -> None:
        """Release its slot, although a clean-up of the transport still hangs."""
        logger.error("%s hangs while its request is cancelled", self.name)
        if self._slot is not None:
            self._slot.release()

    async def _receive(self, first_audio: Callable[[], None]) -> None:
        """Hand on what the transport yields, except for what was handed on before."""
        known_bytes = self.frames * BYTES_PER_FRAME
        try:
            async with asyncio.timeout(self._timeout_s) as limit, contextlib.aclosing(self._ask()) as audio:
                self._limit = limit
                async for pcm in audio:
                    first_audio()
                    limit.reschedule(None)
                    fresh, known_bytes = pcm[known_bytes:], max(0, known_bytes - len(pcm))
                    if fresh:
                        await self._race.write(self, fresh)
                        self.frames += len(fresh) // BYTES_PER_FRAME
                    limit.reschedule(self._stalls_at())
        except EdgeVoiceError:
            raise
        except Exception as error:
            if limit.expired():
                what = "no more audio" if self.frames else "no audio in time"
                raise TransportError(f"timed out: {what}") from None
            # An exception that a transport must not raise; another one may still speak.
            logger.exception("transport %s broke", self.name)
            raise TransportError(f"broke: {type(error).__name__}: {error}") from error
        finally:
            self._limit = None

    def _ask(self) -> AsyncGenerator[bytes, None]:
        transport, speech = self._context.transports[self.name], self._speech
        request = self._race.segment.request()
        self._race.filler.clip.check_open()
        self.warm, self.marks, self.asked_at = transport.is_warm, request.marks, _now()
        speech.requested_at = speech.requested_at or self.asked_at
        speech.is_faithful &= not self.frames
        self._race.asked(self)
        audio = transport.synthesize(request)
        learns = request.text_stream is None  # live text comes at the pace of its sender
        return self._context.jitter.observe(self.name, audio, request.sample_rate, learns=learns)

    def _stalls_at(self) -> float:
        now = _now()
        if self._is_last_resort:
            return now + self._context.timeouts.stall_s
        return now + self._race.next_audio_timeout_s(now)


def _all_failed(attempts: Sequence[Attempt]) -> str:
    tried = "; ".join(f"{attempt.transport}: {attempt.error}" for attempt in attempts)
    return f"no transport spoke ({tried})" if tried else "no transport is available"


def _late(attempt: AttemptTask) -> TransportError:
    waited = "no audio in time" if attempt.asked_at else "no slot of the account in time"
    return TransportError(f"timed out: {waited}")


def _now() -> float:
    return asyncio.get_running_loop().time()
