"""Turns announcements into clips, each filled by a task of its own.

Retries happen here and nowhere else: `Filling` takes the parts of one speech in their order, `Race` the transports
of one part, `Asking` one of them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Self

from edgevoice.audio.clip import Clip
from edgevoice.config.options import AUTO, FALLBACK_ALIAS
from edgevoice.errors import ClipError, EdgeVoiceError
from edgevoice.synthesis.failover import ClipFiller
from edgevoice.synthesis.priority import Priority
from edgevoice.synthesis.routing import CACHED, NO_OUTLOOK, decide, routing_request
from edgevoice.synthesis.segments import first_request
from edgevoice.synthesis.speech import SpeechJob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.audio.jitter_buffer import JitterStats
    from edgevoice.cache.cache import Cache
    from edgevoice.config.options import Route
    from edgevoice.forecast.outlook import LatencyPrediction
    from edgevoice.synthesis.context import SynthesisContext
    from edgevoice.synthesis.routing import Decision

logger = logging.getLogger(__name__)


class Synthesizer:
    """Turns announcements into clips, over the transports there are.

    Use as `async with`: leaving gives up what is unmade.
    """

    def __init__(
        self,
        means: SynthesisContext,
        routes: Sequence[Route],
        *,
        cache: Cache,
        spool: Callable[[], Path],
        filter_text: Callable[[str, str], str] = lambda text, _language: text,
    ) -> None:
        self._means = means
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
        alias = {FALLBACK_ALIAS} if self._means.fallbacks else set()
        return frozenset(self._means.transports) | self._means.unconfigured | alias

    def decide(self, announcement: Announcement) -> Decision:
        """Decide which transports an announcement takes if it is not in the cache."""
        return decide(
            routing_request(announcement),
            self._routes,
            frozenset(self._means.transports),
            self.outlook(announcement.text),
            self._means.fallbacks,
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

    def outlook(self, text: str | None) -> LatencyPrediction:
        """What is to be expected of the transports for a text now, where a route asks for that."""
        means = self._means
        if all(route.use != AUTO for route in self._routes):
            return NO_OUTLOOK
        warm = {name: transport.is_warm for name, transport in means.transports.items()}
        return means.forecast.outlook(first_request(text or "", means.speech.max_request_chars), warm)

    @property
    def jitter(self) -> JitterStats:
        """How far clips are to be ahead before they sound."""
        return self._means.headstarts

    def new_job(self, announcement: Announcement) -> SpeechJob:
        """The speech of an announcement; nothing is asked for before it begins."""
        return SpeechJob(self.filtered(announcement), self.new_clip(), self)

    def filtered(self, announcement: Announcement) -> Announcement:
        """Return the announcement with the text that plugins make of it."""
        if announcement.text is None:
            return announcement
        text = self._filter_text(announcement.text, announcement.language or self._means.speech.language)
        return announcement if text == announcement.text else dataclasses.replace(announcement, text=text)

    def new_clip(self) -> Clip:
        """An empty one."""
        return Clip(self._means.speech.sample_rate, self._spool)

    def fill(self, speech: SpeechJob) -> None:
        """Fill the clip of a speech in the background."""
        clip = speech.clip
        task = asyncio.create_task(self._fill(speech, clip), name=f"synthesis {speech.announcement.id}")
        self._tasks[clip] = task
        task.add_done_callback(lambda _: self._tasks.pop(clip, None))

    def priority_changed(self) -> None:
        """A speech is needed more than it was: see who has to wait for it."""
        for limiter in self._means.limiters.values():
            limiter.rebalance()

    def cancel(self, speech: SpeechJob) -> None:
        """Cancel what is unmade of a speech."""
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
            await ClipFiller(self._means, speech, decision.order).run()
            clip.finish()
            spoken = {self._cache.key(speech.announcement, speech.text, name) for name in speech.spoken_by}
            if speech.is_faithful and spoken == {key}:
                self._cache.store(key, clip)
        except EdgeVoiceError as error:
            clip.finish(error)
        except asyncio.CancelledError:
            clip.finish(ClipError("given up"))
            raise
        except Exception as error:
            logger.exception("synthesis broke", extra={"ANNOUNCEMENT_ID": speech.announcement.id})
            clip.finish(error)
