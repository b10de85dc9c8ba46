"""Fills clips: takes the transports in the order of the route until one speaks, and falls back.

Retries happen here and nowhere else. A long text is several requests, a live one as many as its sender
takes pauses; they are joined in one clip.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Self

from edgevoice import logs
from edgevoice.announcement import Urgency
from edgevoice.clip import BYTES_PER_FRAME, Clip
from edgevoice.errors import AccountRefused, ClipError, EdgeVoiceError, TransportError
from edgevoice.gate import Gate, Preempted
from edgevoice.outcome import Attempt
from edgevoice.parts import LivePart, Part, parts_of
from edgevoice.routing import LOCAL, decide, said_of
from edgevoice.speech import Speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.cache import Cache
    from edgevoice.config.options import Core, Route
    from edgevoice.plugin import Transport

logger = logging.getLogger(__name__)

STALLED = 10.0
"""Seconds without audio in mid-speech after which a transport counts as dead."""
PATIENCE = 60.0
"""Seconds to the first audio where no other transport is left to go to."""
LIVE_DELAY = 5.0
"""Seconds that live text may add to the first audio: the server waits for a sentence's end."""


class LateError(TransportError):
    """The first audio did not come in time."""


class Synthesis:
    """Turns announcements into clips, over the transports there are.

    `fault` is told what concerns the account. Use as `async with`: leaving gives up what is unmade.
    """

    def __init__(
        self,
        transports: Mapping[str, Transport],
        core: Core,
        routes: Sequence[Route],
        *,
        cache: Cache,
        spool: Callable[[], Path],
        fault: Callable[[str, str | None], None],
    ) -> None:
        self._transports = transports
        self._core = core
        self._routes = routes
        self._cache = cache
        self._spool = spool
        self._fault = fault
        self._gate = Gate(core.lightning.concurrency)
        self._tasks: dict[Speech, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def transports(self) -> frozenset[str]:
        """The names of the transports there are."""
        return frozenset(self._transports)

    def speech(self, announcement: Announcement) -> Speech:
        """The speech of an announcement; nothing is asked for before it begins."""
        return Speech(announcement, Clip(self._core.lightning.sample_rate, self._spool), self)

    def fill(self, speech: Speech) -> None:
        """Fill the clip of a speech in the background."""
        task = asyncio.create_task(self._fill(speech), name=f"synthesis {speech.announcement.id}")
        self._tasks[speech] = task
        task.add_done_callback(lambda _: self._tasks.pop(speech, None))

    def give_up(self, speech: Speech) -> None:
        """Cancel what is unmade of a speech."""
        if task := self._tasks.get(speech):
            task.cancel()

    async def _fill(self, speech: Speech) -> None:
        name = self._cache.name(speech.announcement, speech.text)
        try:
            speech.cached = await self._cache.fill(speech.clip, name)
            said = said_of(speech.announcement, cached=speech.cached)
            speech.decision = decide(said, self._routes, self._transports)
            if speech.cached:
                speech.first_audio_at = asyncio.get_running_loop().time()
                return
            left = list(speech.decision.order)
            parts = parts_of(
                speech.announcement, speech.text, self._core.lightning, lambda: self._takes_pieces(left)
            )
            async for part in parts:
                await self._part(speech, part, left)
            speech.clip.finish()
            if speech.as_asked:
                self._cache.keep(name, speech.clip)
        except EdgeVoiceError as error:
            speech.clip.finish(error)
        except asyncio.CancelledError:
            speech.clip.finish(ClipError("given up"))
            raise
        except Exception as error:
            logger.exception("synthesis broke", extra={"ANNOUNCEMENT_ID": speech.announcement.id})
            speech.clip.finish(error)

    def _takes_pieces(self, left: Sequence[str]) -> bool:
        return bool(left) and self._transports[left[0]].takes_pieces

    async def _part(self, speech: Speech, part: Part, left: list[str]) -> None:
        """Fill in one part by the first transport of `left` that speaks; those that don't are taken out.

        Raises:
            TransportError: none spoke, or one broke off after its first sample.
        """
        start = speech.clip.frames
        while left:
            try:
                await self._request(speech, part, left[0], alone=len(left) == 1)
            except TransportError as error:
                why = self._failed(speech, left[0], error)
                if speech.clip.frames > start:
                    raise TransportError(why) from None
                left[:] = _after(error, speech.announcement, left)
                if isinstance(part, LivePart) and not self._takes_pieces(left):
                    part.leave_unspoken()
                    break
            else:
                return
        if not left:
            raise TransportError(_all_failed(speech))

    def _failed(self, speech: Speech, name: str, error: TransportError) -> str:
        """Note what failed, and return why; a server may have answered with the very key it was sent."""
        why = logs.redact(str(error))
        speech.attempts.append(Attempt(name, why))
        logger.warning("%s: %s", name, why, extra={"ANNOUNCEMENT_ID": speech.announcement.id})
        if isinstance(error, AccountRefused):
            self._fault("lightning", why)
        return why

    async def _request(self, speech: Speech, part: Part, name: str, *, alone: bool) -> None:
        """One part over one transport; where the place was taken back, go on where the clip stopped."""
        metered = self._transports[name].metered
        start = speech.clip.frames
        within = self._first_audio_within(speech, part, alone=alone)
        while True:
            place = self._gate.place(speech.announcement.urgency) if metered else contextlib.nullcontext()
            try:
                async with place:
                    await self._receive(speech, part, name, skip=speech.clip.frames - start, within=within)
            except Preempted:
                continue
            if speech.clip.frames == start:
                raise TransportError("the server sent no audio")
            if metered:
                self._fault("lightning", None)
            return

    async def _receive(self, speech: Speech, part: Part, name: str, *, skip: int, within: float) -> None:
        """Append what the transport yields, but for the first `skip` frames, which the clip has."""
        loop = asyncio.get_running_loop()
        speech.asked_at = speech.asked_at or loop.time()
        speech.as_asked &= self._transports[name].metered and not skip
        start, had = speech.clip.frames, skip * BYTES_PER_FRAME
        audio = self._transports[name].synthesize(part.request(speech.clip.rate))
        try:
            async with asyncio.timeout(within) as limit:
                async for pcm in audio:
                    limit.reschedule(loop.time() + STALLED)
                    fresh, had = pcm[had:], max(0, had - len(pcm))
                    if fresh:
                        await self._append(speech, name, fresh)
        except EdgeVoiceError:
            raise
        except TimeoutError as error:
            if not limit.expired():
                raise _broke(name, error) from error
            if speech.clip.frames > start:
                raise TransportError(f"timed out: no audio for {STALLED:g} s") from None
            raise LateError("timed out: no audio in time") from None
        except Exception as error:
            raise _broke(name, error) from error
        finally:
            await _close(audio)

    async def _append(self, speech: Speech, name: str, pcm: bytes) -> None:
        if speech.first_audio_at is None:
            speech.first_audio_at = asyncio.get_running_loop().time()
        speech.transport = name
        await speech.clip.append(pcm)

    def _first_audio_within(self, speech: Speech, part: Part, *, alone: bool) -> float:
        """Seconds in which the first audio has to come, from the request on."""
        if alone:
            return PATIENCE
        within = self._core.first_audio_within(speech.announcement.urgency)
        return within + (LIVE_DELAY if isinstance(part, LivePart) else 0)


def _after(error: TransportError, announcement: Announcement, left: Sequence[str]) -> list[str]:
    """What is left to try after the first of `left` failed."""
    late = isinstance(error, LateError) and announcement.urgency is Urgency.CRITICAL
    if late or isinstance(error, AccountRefused):
        return [name for name in left[1:] if name == LOCAL]
    return list(left[1:])


def _all_failed(speech: Speech) -> str:
    tried = "; ".join(f"{attempt.transport}: {attempt.error}" for attempt in speech.attempts)
    return f"no transport spoke ({tried})" if tried else "no transport is available"


def _broke(name: str, error: Exception) -> TransportError:
    """What a transport raised that it should not have; there may be another that speaks."""
    logger.error("transport %s broke", name, exc_info=error)
    return TransportError(f"broke: {type(error).__name__}: {error}")


async def _close(audio: AsyncIterator[bytes]) -> None:
    """Cancel the request, if the iterator is one that can."""
    close = getattr(audio, "aclose", None)
    if close is not None:
        await close()
