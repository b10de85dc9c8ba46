"""One part of a speech asked of one transport; made anew where its place at the gate was taken back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.clip import BYTES_PER_FRAME
from edgevoice.errors import EdgeVoiceError, TransportError
from edgevoice.forecast import Forecast
from edgevoice.gate import Preempted
from edgevoice.headstart import Headstarts
from edgevoice.hedging import Budget
from edgevoice.pace import Paces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from edgevoice.config.options import Core
    from edgevoice.forecast import Timing
    from edgevoice.gate import Gate
    from edgevoice.parts import Part
    from edgevoice.plugin import SpeechRequest, Transport, WordMark
    from edgevoice.speech import Speech

logger = logging.getLogger(__name__)

STALLED = 10.0
"""Seconds without audio in mid-speech after which a transport counts as dead."""


class LateError(TransportError):
    """The first audio did not come in time."""


def never_late(transport: str, chars: int, warm: bool) -> None:
    """Nothing is known of when a first sample is late."""
    del transport, chars, warm


@dataclass(frozen=True, slots=True)
class Means:
    """What speech is made with.

    `fault` is told what concerns the account. `late_after` tells after how many seconds the first sample of a transport is later than nearly always,
    for so many characters and a warm connection or not; None as long as that is not known.
    """

    transports: Mapping[str, Transport]
    core: Core
    gate: Gate
    fault: Callable[[str, str | None], None]
    late_after: Callable[[str, int, bool], float | None] = never_late
    forecast: Forecast = field(default_factory=Forecast)
    paces: Paces = field(default_factory=Paces)
    headstarts: Headstarts = field(default_factory=Headstarts)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a speech that is to be spoken, and what with."""

    means: Means
    speech: Speech
    part: Part


class Asking:
    """Speaks a passage over one transport.

    `within` is the seconds to its first audio; one that is `alone` has nobody to take over and may pause for
    longer. `on_asked` is told when the request leaves. `asked_at` is monotonic seconds, None until then, `warm`
    whether it had a connection, `marks` the times of its words, where they are known, `frames` what it gave.
    """

    def __init__(
        self,
        passage: Passage,
        name: str,
        *,
        within: float,
        alone: bool,
        on_asked: Callable[[], None],
    ) -> None:
        self.name = name
        self.is_metered = passage.means.transports[name].metered
        self.asked_at: float | None = None
        self.warm = False
        self.frames = 0
        self.marks: list[WordMark] = []
        self._means = passage.means
        self._speech = passage.speech
        self._part = passage.part
        self._within = within
        self._alone = alone
        self._on_asked = on_asked

    async def run(self, write: Callable[[Asking, bytes], Awaitable[None]]) -> None:
        """Ask until all is there, going on where it stopped.

        `write` takes the audio, and waits where it is not yet its turn to sound.

        Raises:
            TransportError: it gave no speech, or not all of it; `frames` tells which.
        """
        gate = self._means.gate
        while True:
            place = gate.place(self._speech, self.name) if self.is_metered else _no_gate()
            try:
                async with place:
                    warm = self._means.transports[self.name].is_warm
                    with self._means.forecast.timing(self.name, self._part.length, warm=warm) as timing:
                        await self._receive(write, timing)
            except Preempted:
                continue
            if not self.frames:
                raise TransportError("the server sent no audio")
            if self.is_metered:
                self._means.fault("lightning", None)
            return

    async def _receive(self, write: Callable[[Asking, bytes], Awaitable[None]], timing: Timing) -> None:
        """Hand on what the transport yields, but for what was handed on before."""
        request = self._part.request(self._speech.clip.rate)
        audio, had = self._ask(request), self.frames * BYTES_PER_FRAME
        try:
            async with asyncio.timeout(self._within) as limit:
                async for pcm in audio:
                    timing.sounds()
                    limit.reschedule(None)
                    fresh, had = pcm[had:], max(0, had - len(pcm))
                    if fresh:
                        await write(self, fresh)
                        self.frames += len(fresh) // BYTES_PER_FRAME
                    limit.reschedule(_now() + self._patience())
        except EdgeVoiceError:
            raise
        except TimeoutError as error:
            raise (self._timed_out() if limit.expired() else _broke(self.name, error)) from None
        except Exception as error:
            raise _broke(self.name, error) from error
        finally:
            await _close(audio)

    def _ask(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        transport, speech = self._means.transports[self.name], self._speech
        self.warm, self.marks, self.asked_at = transport.is_warm, request.marks, _now()
        speech.asked_at = speech.asked_at or self.asked_at
        speech.as_asked &= not self.frames
        self._on_asked()
        audio = transport.synthesize(request)
        learns = request.pieces is None  # live text comes at the pace of its sender
        return self._means.headstarts.observed(self.name, audio, request.sample_rate, learns=learns)

    def _patience(self) -> float:
        """Seconds to the next audio: what is critical must not fall silent, once the clip has run dry."""
        if self._alone or self._speech.announcement.urgency is not Urgency.CRITICAL:
            return STALLED
        dry = max(0.0, dry_at(self._speech) - _now())
        return min(STALLED, dry + self._means.core.critical_deadline)

    def _timed_out(self) -> TransportError:
        if self.frames:
            return TransportError("timed out: no more audio")
        return LateError("timed out: no audio in time")


def dry_at(speech: Speech) -> float:
    """The monotonic second at which all that there is has been heard, if it was heard as it came."""
    return (speech.first_audio_at or _now()) + speech.clip.seconds


def _no_gate() -> contextlib.AbstractAsyncContextManager[None]:
    return contextlib.nullcontext()


def _broke(name: str, error: Exception) -> TransportError:
    """What a transport raised that it should not have; there may be another that speaks."""
    logger.error("transport %s broke", name, exc_info=error)
    return TransportError(f"broke: {type(error).__name__}: {error}")


async def _close(audio: AsyncIterator[bytes]) -> None:
    """Cancel the request, if the iterator is one that can."""
    close = getattr(audio, "aclose", None)
    if close is not None:
        await close()


def _now() -> float:
    return asyncio.get_running_loop().time()
