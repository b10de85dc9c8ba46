"""Fills the clip of one speech, part by part; a part that breaks off is carried on by the next transport."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgevoice import logs
from edgevoice.audio.gain import Ramp
from edgevoice.errors import AccountRefused, TransportError
from edgevoice.outcome import Attempt
from edgevoice.synthesis import carrying
from edgevoice.synthesis.context import SegmentJob
from edgevoice.synthesis.race import Race
from edgevoice.synthesis.segments import TextSegment, segments_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from edgevoice.synthesis.attempt import AttemptTask
    from edgevoice.synthesis.context import SynthesisContext
    from edgevoice.synthesis.segments import Part
    from edgevoice.synthesis.speech import SpeechJob

logger = logging.getLogger(__name__)


class ClipFiller:
    """The parts of a speech in their order, over the transports of `order` that are left."""

    def __init__(self, means: SynthesisContext, speech: SpeechJob, order: Sequence[str]) -> None:
        self._means = means
        self._speech = speech
        self._clip = speech.clip
        self._left = list(order)
        self._again = False
        self._ramp = Ramp(0)

    async def run(self) -> None:
        """Speak all of it.

        Raises:
            EdgeVoiceError: nobody speaks what is left, or the clip cannot hold it.
        """
        speech, options = self._speech, self._means.speech
        async for part in segments_of(speech.announcement, speech.text, options, self._takes_pieces):
            await self._part(part)

    def _takes_pieces(self) -> bool:
        return bool(self._left) and self._means.transports[self._left[0]].accepts_text_stream

    async def _part(self, part: Part) -> None:
        start = self._clip.frames
        passage = SegmentJob(self._means, self._speech, part, self._clip)
        race = Race(passage, self._left, failed=self._failed, append=self._append)
        await race.run()
        if race.winner is None:
            if not self._left:
                raise TransportError(_all_failed(self._speech))
            part.end = part.start  # for somebody who takes it otherwise
        elif race.error is not None:
            await self._resume_after_failure(part, start, race.winner, race.error)
        elif isinstance(part, TextSegment):
            seconds = (self._clip.frames - start) / self._clip.rate
            self._means.paces.learn(self._voice(race.winner), part.text, seconds, self._speed)

    async def _append(self, pcm: bytes) -> None:
        await self._clip.append(self._ramp.apply(pcm))

    async def _resume_after_failure(
        self, part: Part, start: int, asking: AttemptTask, error: TransportError
    ) -> None:
        """It broke off: let the sound come to rest, and leave the words not yet spoken to the next part.

        Raises:
            TransportError: there is nobody left to speak them.
        """
        clip, end = self._clip, self._clip.frames
        await carrying.fade_out(clip)
        self._ramp, self._speech.is_faithful = Ramp(clip.rate), False
        kind = AccountRefused if isinstance(error, AccountRefused) else TransportError
        broken = f"{error}, after {(end - start) / clip.rate:.1f} s of speech"
        self._failed(asking.name, kind(broken))
        self._left[:] = self._successors(asking.name, error)
        if not self._left:
            raise TransportError(logs.redact(broken))
        pace = self._means.paces.of(self._voice(asking), self._speed)
        part.end = part.start + await carrying.unspoken_offset(
            clip, start, end, part.text, asking.marks, pace
        )

    def _successors(self, name: str, error: TransportError) -> list[str]:
        """Who may go on; the same once more, where it is the only one."""
        if isinstance(error, AccountRefused):
            return self._means.survivors(name, self._left)
        others = [other for other in self._left if other != name]
        if others or self._again:
            return others
        self._again = True
        return [name]

    def _failed(self, name: str, error: TransportError) -> None:
        """Note what was in vain, and why; a server may have answered with the very key it was sent."""
        why, announcement = logs.redact(str(error)), self._speech.announcement
        self._speech.attempts.append(Attempt(name, why))
        logger.warning("%s: %s", name, why, extra={"ANNOUNCEMENT_ID": announcement.id})
        account = self._means.transports[name].account
        if isinstance(error, AccountRefused) and account is not None:
            self._means.fault(account, why)

    def _voice(self, asking: AttemptTask) -> Hashable:
        """What reads at one pace."""
        announcement = self._speech.announcement
        return asking.account or asking.name, announcement.voice, announcement.language

    @property
    def _speed(self) -> float:
        return self._speech.announcement.speed or self._means.speech.speed


def _all_failed(speech: SpeechJob) -> str:
    tried = "; ".join(f"{attempt.transport}: {attempt.error}" for attempt in speech.attempts)
    return f"no transport spoke ({tried})" if tried else "no transport is available"
