"""An attempt to speak a segment over one transport; repeated if its slot was revoked."""

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

    from edgevoice.plugin import SpeechRequest, WordMark
    from edgevoice.synthesis.concurrency import Slot
    from edgevoice.synthesis.context import SegmentJob

logger = logging.getLogger(__name__)


class FirstAudioTimeoutError(TransportError):
    """The first audio did not arrive in time."""


class AttemptTask:
    """Speaks a segment over one transport.

    `timeout_s` limits the time to its first audio. With `is_last_resort` no transport is left to fail over to,
    so it may pause for longer. `on_asked` is called when the request leaves.
    """

    def __init__(
        self,
        job: SegmentJob,
        name: str,
        *,
        timeout_s: float,
        is_last_resort: bool,
        on_asked: Callable[[], None],
    ) -> None:
        self.name = name
        self.account = job.context.transports[name].account
        #: When the request left, in monotonic seconds.
        self.asked_at: float | None = None
        #: Whether it had an open connection.
        self.warm = False
        #: Frames that it delivered.
        self.frames = 0
        #: The times of its words, if the transport tells them.
        self.marks: list[WordMark] = []
        self._job = job
        self._context = job.context
        self._timeout_s = timeout_s
        self._is_last_resort = is_last_resort
        self._limit: asyncio.Timeout | None = None
        self._slot: Slot | None = None
        self._on_asked = on_asked

    async def run(self, write: Callable[[AttemptTask, bytes], Awaitable[None]]) -> None:
        """Ask until all audio is there, resuming where a revoked request stopped.

        `write` takes the audio, and waits as long as the attempt is muted.

        Raises:
            TransportError: it delivered no audio, or not all of it; `frames` tells which.
        """
        limiter, name = self._context.limiter(self.name), self.name
        transport = self._context.transports[name]
        while True:
            try:
                async with asyncio.timeout(self._context.timeouts.slot_s) as waiting:
                    async with (
                        limiter.acquire(self._job.speech, name) if limiter else _no_slot() as self._slot
                    ):
                        waiting.reschedule(None)
                        warm, length = transport.is_warm, self._job.segment.length
                        with self._context.latency.timed(name, length, warm=warm) as first_audio:
                            await self._receive(write, first_audio)
            except Preempted:
                continue
            except TimeoutError:
                raise FirstAudioTimeoutError("timed out: no slot of the account in time") from None
            if not self.frames:
                raise TransportError("the server sent no audio")
            if self.account is not None:
                self._context.fault(self.account, None)
            return

    def raise_priority(self) -> None:
        """Shorten the stall timeout of a running request to that of its new priority."""
        limit = self._limit
        if limit is not None and (at := limit.when()) is not None and self.frames and not limit.expired():
            limit.reschedule(min(at, self._stalls_at()))

    def abandon(self) -> None:
        """Release its slot, although a clean-up of the transport still hangs."""
        logger.error("%s hangs while its request is cancelled", self.name)
        if self._slot is not None:
            self._slot.release()

    async def _receive(
        self, write: Callable[[AttemptTask, bytes], Awaitable[None]], first_audio: Callable[[], None]
    ) -> None:
        """Hand on what the transport yields, except for what was handed on before."""
        request = self._job.segment.request()
        audio, known_bytes = self._ask(request), self.frames * BYTES_PER_FRAME
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                self._limit = limit
                async for pcm in audio:
                    first_audio()
                    limit.reschedule(None)
                    fresh, known_bytes = pcm[known_bytes:], max(0, known_bytes - len(pcm))
                    if fresh:
                        await write(self, fresh)
                        self.frames += len(fresh) // BYTES_PER_FRAME
                    limit.reschedule(self._stalls_at())
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
        transport, speech = self._context.transports[self.name], self._job.speech
        self._job.clip.check_open()
        self.warm, self.marks, self.asked_at = transport.is_warm, request.marks, _now()
        speech.requested_at = speech.requested_at or self.asked_at
        speech.is_faithful &= not self.frames
        self._on_asked()
        audio = transport.synthesize(request)
        learns = request.text_stream is None  # live text comes at the pace of its sender
        return self._context.jitter.observe(self.name, audio, request.sample_rate, learns=learns)

    def _stalls_at(self) -> float:
        now = _now()
        return now + next_audio_timeout(self._job, now, is_last_resort=self._is_last_resort)

    def _timed_out(self) -> TransportError:
        if self.frames:
            return TransportError("timed out: no more audio")
        return FirstAudioTimeoutError("timed out: no audio in time")


def _no_slot() -> contextlib.AbstractAsyncContextManager[None]:
    return contextlib.nullcontext()


def _broke(name: str, error: Exception) -> TransportError:
    """Return the error for an exception that a transport must not raise; another one may still speak."""
    logger.error("transport %s broke", name, exc_info=error)
    return TransportError(f"broke: {type(error).__name__}: {error}")


async def _close(audio: AsyncIterator[bytes]) -> None:
    """Cancel the request, if the iterator supports it."""
    close = getattr(audio, "aclose", None)
    if close is not None:
        await close()


def _now() -> float:
    return asyncio.get_running_loop().time()
