"""Prerendering: synthesize the configured phrases while nothing else needs the account, and keep them cached."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgevoice.announcement import Priority, Urgency, internal_announcement
from edgevoice.backoff import Backoff
from edgevoice.config.options import Phrase
from edgevoice.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.cache.cache import Cache
    from edgevoice.synthesis.synthesizer import Synthesizer

logger = logging.getLogger(__name__)

#: Longest pause between attempts, and between checks that all phrases are intact.
MAX_PAUSE_S = 3600.0


class Prerenderer:
    """Keeps the configured phrases in the cache, pinned. Clips that are missing or damaged are made again.

    `set_fault("phrases", sentence)` is called if phrases have been missing for `fault_after_s`, and with None
    once they are there. After a failure the next attempt follows after about `retry_s`, doubled while no phrase is made.
    """

    def __init__(
        self,
        phrases: Sequence[str | Phrase],
        cache: Cache,
        synthesizer: Synthesizer,
        set_fault: Callable[[str, str | None], None],
        *,
        retry_s: float = 10.0,
        fault_after_s: float = 600.0,
    ) -> None:
        self._cache = cache
        self._synthesizer = synthesizer
        self._set_fault = set_fault
        self._retry_s = retry_s
        self._fault_after_s = fault_after_s
        by_key = {}
        for phrase in map(_announcement, phrases):
            spoken = synthesizer.filtered(phrase)
            by_key[synthesizer.cache_key(spoken, spoken.text)] = phrase
        self._phrases = {key: phrase for key, phrase in by_key.items() if key is not None}
        self._check_now = asyncio.Event()
        self._logged_ready = -1
        self._failures = 0
        cache.pin(self._phrases)

    def __len__(self) -> int:
        return len(self._phrases)

    @property
    def ready(self) -> int:
        """Number of phrases that need no request."""
        return sum(self._cache.contains(key) for key in self._phrases)

    def check_now(self) -> None:
        """Check the phrases at once, for instance after the cache was cleared."""
        self._check_now.set()

    async def run(self) -> None:
        """Make missing phrases, forever."""
        await self._cache.wait_scanned()
        now, backoff = asyncio.get_running_loop().time, Backoff(self._retry_s, MAX_PAUSE_S)
        complete_at = now()
        while self._phrases:
            self._check_now.clear()
            before = self.ready
            problem = await self._make_missing()
            if problem is None or self.ready > before:
                backoff.reset()
            if problem is None:
                complete_at = now()
            is_overdue = now() - complete_at > self._fault_after_s
            self._set_fault(
                "phrases", f"{self.ready} of {len(self)} ready: {problem}" if is_overdue else None
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_PAUSE_S if problem is None else backoff.next_delay_s()):
                    await self._check_now.wait()

    async def _make_missing(self) -> str | None:
        """Return why a phrase could not be made; that phrase is the last to be tried next time."""
        for key in list(self._phrases):
            problem = None if await self._cache.is_intact(key) else await self._make(key)
            if self.ready != self._logged_ready:
                self._logged_ready = self.ready
                logger.info("%d of %d phrases ready", self.ready, len(self))
            if problem is not None:
                self._phrases[key] = self._phrases.pop(key)
                return problem
        return None

    async def _make(self, key: str) -> str | None:
        """Synthesize one phrase into the cache. Returns why that failed."""
        transports = self._synthesizer.prerender_transports(self._phrases[key])
        if not transports:
            return "no transport is available whose speech can be cached"
        transport = transports[self._failures % len(transports)]
        now = asyncio.get_running_loop().time()
        announcement = dataclasses.replace(self._phrases[key], received_monotonic=now, transport=transport)
        job = self._synthesizer.new_job(announcement)
        job.join()
        try:
            job.request(priority=Priority.PRERENDER)
            await job.clip.wait_end()
            await self._cache.flush()
        except ClipError as error:
            self._failures += 1
            return str(error)
        finally:
            job.leave()
        if self._cache.contains(key):
            return None
        return "no room in the cache (see cache.max_mb), or the audio was cut short"


def _announcement(phrase: str | Phrase) -> Announcement:
    phrase = Phrase(text=phrase) if isinstance(phrase, str) else phrase
    announcement = internal_announcement(
        phrase.text, "", received_monotonic=0.0, received_at=datetime.now(UTC)
    )
    return dataclasses.replace(
        announcement,
        urgency=Urgency.LOW,  # every announcement goes first
        voice=phrase.voice,
        language=phrase.language,
        speed=phrase.speed,
    )
