"""One part of a speech asked of one transport; made anew where its place at the gate was taken back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from edgevoice.audio import BYTES_PER_FRAME
from edgevoice.errors import EdgeVoiceError, TransportError
from edgevoice.synthesis.concurrency import Preempted
from edgevoice.synthesis.deadlines import next_audio_timeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from edgevoice.forecast.forecast import RequestTimer
    from edgevoice.plugin import SpeechRequest, WordMark
    from edgevoice.synthesis.context import SegmentJob

logger = logging.getLogger(__name__)


class FirstAudioTimeout(TransportError):
    """The first audio did not come in time."""


class AttemptTask:
    """Speaks a passage over one transport.

    `within` is the seconds to its first audio; one that is `alone` has nobody to take over and may pause for
    longer. `on_asked` is told when the request leaves. `asked_at` is monotonic seconds, None until then, `warm`
    whether it had a connection, `marks` the times of its words, where they are known, `frames` what it gave.
    """

    def __init__(
        self,
        passage: SegmentJob,
        name: str,
        *,
        within: float,
        alone: bool,
        on_asked: Callable[[], None],
    ) -> None:
        self.name = name
        self.account = passage.means.transports[name].account
        self.asked_at: float | None = None
        self.warm = False
        self.frames = 0
        self.marks: list[WordMark] = []
        self._passage = passage
        self._means = passage.means
        self._speech = passage.speech
        self._part = passage.part
        self._within = within
        self._alone = alone
        self._limit: asyncio.Timeout | None = None
        self._on_asked = on_asked

    async def run(self, write: Callable[[AttemptTask, bytes], Awaitable[None]]) -> None:
        """Ask until all is there, going on where it stopped.

        `write` takes the audio, and waits where it is not yet its turn to sound.

        Raises:
            TransportError: it gave no speech, or not all of it; `frames` tells which.
        """
        limiter = self._means.limiter(self.name)
        while True:
            place = limiter.acquire(self._speech, self.name) if limiter else contextlib.nullcontext()
            try:
                async with place:
                    warm = self._means.transports[self.name].is_warm
                    with self._means.forecast.timing(self.name, self._part.length, warm=warm) as timing:
                        await self._receive(write, timing)
            except Preempted:
                continue
            if not self.frames:
                raise TransportError("the server sent no audio")
            if self.account is not None:
                self._means.fault(self.account, None)
            return

    def raise_priority(self) -> None:
        """It is needed more than it was: in mid-speech, be no more patient than that allows."""
        limit = self._limit
        if limit is not None and (at := limit.when()) is not None and self.frames and not limit.expired():
            limit.reschedule(min(at, self._patient_until()))

    async def _receive(
        self, write: Callable[[AttemptTask, bytes], Awaitable[None]], timing: RequestTimer
    ) -> None:
        """Hand on what the transport yields, but for what was handed on before."""
        request = self._part.request()
        audio, had = self._ask(request), self.frames * BYTES_PER_FRAME
        try:
            async with asyncio.timeout(self._within) as limit:
                self._limit = limit
                async for pcm in audio:
                    timing.sounds()
                    limit.reschedule(None)
                    fresh, had = pcm[had:], max(0, had - len(pcm))
                    if fresh:
                        await write(self, fresh)
                        self.frames += len(fresh) // BYTES_PER_FRAME
                    limit.reschedule(self._patient_until())
        except EdgeVoiceError:
            raise
        except TimeoutError as error:
            raise (self._timed_out() if limit.expired() else _broke(self.name, error)) from None
        except Exception as error:
            raise _broke(self.name, error) from error
        finally:
            self._limit = None
            await _close(audio)

    def _ask(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        transport, speech = self._means.transports[self.name], self._speech
        self._passage.clip.check_open()
        self.warm, self.marks, self.asked_at = transport.is_warm, request.marks, _now()
        speech.requested_at = speech.requested_at or self.asked_at
        speech.is_faithful &= not self.frames
        self._on_asked()
        audio = transport.synthesize(request)
        learns = request.text_stream is None  # live text comes at the pace of its sender
        return self._means.headstarts.observed(self.name, audio, request.sample_rate, learns=learns)

    def _patient_until(self) -> float:
        return _now() + next_audio_timeout(self._passage, _now(), alone=self._alone)

    def _timed_out(self) -> TransportError:
        if self.frames:
            return TransportError("timed out: no more audio")
        return FirstAudioTimeout("timed out: no audio in time")


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
