"""Fills the clip of one announcement, segment by segment; if a request fails, another transport continues."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgevoice import logs
from edgevoice.audio.gain import Ramp
from edgevoice.errors import AccountRefused, TransportError
from edgevoice.outcome import Attempt
from edgevoice.synthesis import resume_point
from edgevoice.synthesis.context import SegmentJob
from edgevoice.synthesis.race import Race
from edgevoice.synthesis.segments import segments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgevoice.synthesis.attempt import AttemptTask
    from edgevoice.synthesis.context import SynthesisContext
    from edgevoice.synthesis.segments import Segment
    from edgevoice.synthesis.speech import SpeechJob

logger = logging.getLogger(__name__)


class ClipFiller:
    """Speaks the segments of a speech job in order, over the transports of `order` that have not failed."""

    def __init__(self, context: SynthesisContext, speech: SpeechJob, order: Sequence[str]) -> None:
        self._context = context
        self._speech = speech
        self._clip = speech.clip
        self._candidates = list(order)
        self._has_repeated = False
        self._ramp = Ramp(0)

    async def run(self) -> None:
        """Speak all segments.

        Raises:
            EdgeVoiceError: no transport speaks what is left, or the clip cannot hold it.
        """
        speech, options = self._speech, self._context.speech
        async for segment in segments_of(speech.announcement, speech.text, options, self._takes_stream):
            await self._speak(segment)

    def _takes_stream(self) -> bool:
        transports = self._context.transports
        return bool(self._candidates) and transports[self._candidates[0]].accepts_text_stream

    async def _speak(self, segment: Segment) -> None:
        start = self._clip.frames
        job = SegmentJob(self._context, self._speech, segment, self._clip)
        race = Race(job, self._candidates, failed=self._failed, append=self._append)
        await race.run()
        if race.winner is None:
            if not self._candidates:
                raise TransportError(_all_failed(self._speech))
            segment.end = segment.start  # for a transport that takes it in another form
        elif race.error is not None:
            await self._resume_after_failure(segment, start, race.winner, race.error)

    async def _append(self, pcm: bytes) -> None:
        await self._clip.append(self._ramp.apply(pcm))

    async def _resume_after_failure(
        self, segment: Segment, start: int, attempt: AttemptTask, error: TransportError
    ) -> None:
        """Fade out what was spoken, and leave the words not yet spoken to the next segment.

        Raises:
            TransportError: no transport is left.
        """
        clip, seconds = self._clip, (self._clip.frames - start) / self._clip.rate
        await resume_point.fade_out(clip)
        self._ramp, self._speech.is_faithful = Ramp(clip.rate), False
        kind = AccountRefused if isinstance(error, AccountRefused) else TransportError
        broken = f"{error}, after {seconds:.1f} s of speech"
        self._failed(attempt.name, kind(broken))
        self._candidates[:] = self._successors(attempt.name, error)
        if not self._candidates:
            raise TransportError(logs.redact(broken))
        speed = self._speech.announcement.speed or self._context.speech.speed
        segment.end = segment.start + resume_point.unspoken_offset(
            segment.text, seconds, attempt.marks, speed
        )

    def _successors(self, name: str, error: TransportError) -> list[str]:
        """Return the transports that may continue; the only one may do so itself, once."""
        if isinstance(error, AccountRefused):
            return self._context.survivors(name, self._candidates)
        others = [other for other in self._candidates if other != name]
        if others or self._has_repeated:
            return others
        self._has_repeated = True
        return [name]

    def _failed(self, name: str, error: TransportError) -> None:
        """Record a failed attempt. A server may answer with the very key it was sent: redact it."""
        why, announcement = logs.redact(str(error)), self._speech.announcement
        self._speech.attempts.append(Attempt(name, why))
        logger.warning("%s: %s", name, why, extra={"ANNOUNCEMENT_ID": announcement.id})
        account = self._context.transports[name].account
        if isinstance(error, AccountRefused) and account is not None:
            self._context.fault(account, why)


def _all_failed(speech: SpeechJob) -> str:
    tried = "; ".join(f"{attempt.transport}: {attempt.error}" for attempt in speech.attempts)
    return f"no transport spoke ({tried})" if tried else "no transport is available"
