"""Turns announcements into clips, each filled by a task of its own: from the cache, or over the transports.

Failover happens here and nowhere else: `ClipFiller` speaks the segments of an announcement in order, `Race` one
segment over several transports, `AttemptTask` asks one of them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Self

from edgevoice.announcement import Priority
from edgevoice.audio.clip import Clip
from edgevoice.config.options import FALLBACK_ALIAS
from edgevoice.errors import ClipError, EdgeVoiceError
from edgevoice.synthesis.failover import ClipFiller
from edgevoice.synthesis.routing import CACHED, decide, routing_request
from edgevoice.synthesis.segments import first_request
from edgevoice.synthesis.speech import SpeechJob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.audio.jitter_buffer import JitterStats
    from edgevoice.cache.cache import Cache
    from edgevoice.config.options import Route
    from edgevoice.synthesis.context import SynthesisContext
    from edgevoice.synthesis.latency import LatencyPrediction
    from edgevoice.synthesis.routing import Decision

logger = logging.getLogger(__name__)


class Synthesizer:
    """Makes and fills the clips of speech jobs. Use as `async with`: leaving cancels what is unfinished."""

    def __init__(
        self,
        context: SynthesisContext,
        routes: Sequence[Route],
        *,
        cache: Cache,
        spool: Callable[[], Path],
        filter_text: Callable[[str, str], str] | None = None,
    ) -> None:
        self._context = context
        self._routes = routes
        self._cache = cache
        self._spool = spool
        self._filter_text = filter_text
        self._tasks: dict[Clip, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def transports(self) -> frozenset[str]:
        """The names that an announcement may ask for: the transports, and `local` for the fallbacks."""
        alias = {FALLBACK_ALIAS} if self._context.fallbacks else set()
        return frozenset(self._context.transports) | self._context.unconfigured | alias

    def decide(self, announcement: Announcement) -> Decision:
        """Decide which transports an announcement takes if it is not in the cache."""
        return decide(
            routing_request(announcement),
            self._routes,
            frozenset(self._context.transports),
            self.predict_latency(announcement.text),
            self._context.fallbacks,
        )

    def prerender_transports(self, announcement: Announcement) -> list[str]:
        """Return the transports that can make the clip which `cache_key` names, in order."""
        order = self.decide(announcement).order
        key = self.cache_key(announcement, announcement.text)
        return [name for name in order if self._cache.key(announcement, announcement.text, name) == key]

    def cache_key(self, announcement: Announcement, text: str | None) -> str | None:
        """Return the cache key of a text in the voice it is preferably spoken with; None if it is not kept."""
        order = self.decide(announcement).order
        return self._cache.key(announcement, text, order[0]) if order else None

    def predict_latency(self, text: str | None) -> LatencyPrediction:
        """Return what to expect of each transport for this text now."""
        context = self._context
        warm = {name: transport.is_warm for name, transport in context.transports.items()}
        characters = first_request(text or "", context.speech.max_request_chars)
        return context.latency.predict(characters, warm, context.core.route_guard_s)

    @property
    def jitter(self) -> JitterStats:
        """The jitter of each transport."""
        return self._context.jitter

    def new_job(self, announcement: Announcement) -> SpeechJob:
        """Return the job of an announcement; nothing is asked for before its first request."""
        return SpeechJob(self.filtered(announcement), self.new_clip(), self)

    def filtered(self, announcement: Announcement) -> Announcement:
        """Return the announcement with the text that plugins make of it."""
        if announcement.text is None or self._filter_text is None:
            return announcement
        text = self._filter_text(announcement.text, announcement.language or self._context.speech.language)
        return announcement if text == announcement.text else dataclasses.replace(announcement, text=text)

    def new_clip(self) -> Clip:
        return Clip(self._context.speech.sample_rate, self._spool)

    def fill(self, speech: SpeechJob) -> None:
        """Fill the clip of a job in the background."""
        clip = speech.clip
        task = asyncio.create_task(self._fill(speech, clip), name=f"synthesis {speech.announcement.id}")
        self._tasks[clip] = task
        task.add_done_callback(lambda _: self._tasks.pop(clip, None))

    def priority_changed(self) -> None:
        """Re-examine which requests go first."""
        for limiter in self._context.limiters.values():
            limiter.rebalance()

    def cancel(self, speech: SpeechJob) -> None:
        """Cancel the filling of the job's clip."""
        if task := self._tasks.get(speech.clip):
            task.cancel()

    async def _fill(self, speech: SpeechJob, clip: Clip) -> None:
        try:
            decision = speech.decision = self.decide(speech.announcement)
            key = self.cache_key(speech.announcement, speech.text)
            is_prerender = speech.priority is Priority.PRERENDER  # no one asked to hear it
            speech.cached = await self._cache.load_into(clip, key, counts=not is_prerender)
            if speech.cached:
                speech.decision = CACHED
                speech.first_audio_at = asyncio.get_running_loop().time()
                return
            await ClipFiller(self._context, speech, decision.order).run()
            clip.finish()
            spoken = {self._cache.key(speech.announcement, speech.text, name) for name in speech.spoken_by}
            if speech.is_faithful and spoken == {key}:
                self._cache.store(key, clip)
        except EdgeVoiceError as error:
            clip.finish(error)
        except asyncio.CancelledError:
            clip.finish(ClipError("the synthesis was cancelled"))
            raise
        except Exception as error:
            logger.exception("synthesis broke", extra={"ANNOUNCEMENT_ID": speech.announcement.id})
            clip.finish(error)
