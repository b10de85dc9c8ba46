"""Phrases that are kept ready: made one after the other when nothing else is asked for, and made again when lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import deque
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.config.options import Phrase
from edgevoice.errors import ClipError
from edgevoice.speaker.held import announcement as own_announcement
from edgevoice.synthesis.priority import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.cache.cache import Cache
    from edgevoice.synthesis.synthesizer import Synthesizer

logger = logging.getLogger(__name__)

RANK = Urgency.LOW
"""Whose place at the gate they take: that of whoever can wait longest."""
MAX_PAUSE_S = 3600.0
"""Seconds between attempts at most, each pause in vain being twice the last; and between looks at whether all are whole."""


class Prerenderer:
    """`run` has them made, as long as the daemon runs; `fault` is told if they cannot be.

    `pause` is the first one between attempts, `patience` how long they may fail, both in seconds.
    """

    def __init__(
        self,
        phrases: Sequence[str | Phrase],
        cache: Cache,
        synthesis: Synthesizer,
        fault: Callable[[str, str | None], None],
        *,
        pause: float = 10.0,
        patience: float = 600.0,
    ) -> None:
        self._cache = cache
        self._synthesis = synthesis
        self._fault = fault
        self._pause = pause
        self._patience = patience
        said = [_announcement(phrase) for phrase in phrases]
        named = {synthesis.cache_key(announcement, announcement.text): announcement for announcement in said}
        self._phrases = {name: announcement for name, announcement in named.items() if name is not None}
        self._next = deque(self._phrases)
        self._told = -1
        self._failures = 0
        cache.pin(self._phrases)

    def __len__(self) -> int:
        return len(self._phrases)

    @property
    def ready(self) -> int:
        """How many can be said without a request."""
        return sum(self._cache.contains(name) for name in self._phrases)

    async def run(self) -> None:
        """Make what is not there; after a pause again what could not be made, or was lost."""
        await self._cache.known()
        pause, well = self._pause, _now()
        while self._phrases:
            self._cache.cleared.clear()
            before = self.ready
            why = await self._make_missing()
            if why is None:
                pause, well = self._pause, _now()
            else:
                pause = self._pause if self.ready > before else min(pause * 2, MAX_PAUSE_S)
            late = _now() - well > self._patience
            self._fault("phrases", f"{self.ready} of {len(self)} are ready: {why}" if late else None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_PAUSE_S if why is None else pause):
                    await self._cache.cleared.wait()

    async def _make_missing(self) -> str | None:
        """Why not all are there; the one that failed is the last to be tried again."""
        for _ in range(len(self)):
            name = self._next[0]
            self._next.rotate(-1)
            why = None if await self._cache.is_whole(name) else await self._make(name)
            self._tell()
            if why is not None:
                return why
        return None

    async def _make(self, name: str) -> str | None:
        """Why it could not be made."""
        self._cache.misses -= 1  # nobody looked for it
        ways = self._synthesis.prerender_transports(self._phrases[name])
        if not ways:
            return "no transport is available whose speech can be kept"
        way = ways[self._failures % len(ways)]
        announcement = dataclasses.replace(self._phrases[name], received_monotonic=_now(), transport=way)
        speech = self._synthesis.new_job(announcement)
        speech.join()
        try:
            speech.request(need=Priority.PRERENDER)
            await speech.clip.wait_end()
            await self._cache.written()
        except ClipError as error:
            self._failures += 1
            return str(error)
        finally:
            speech.leave()
        return (
            None
            if self._cache.contains(name)
            else "there was no room for it in the cache, or it was cut short"
        )

    def _tell(self) -> None:
        if self.ready != self._told:
            self._told = self.ready
            logger.info("%d of %d phrases ready", self._told, len(self))


def _announcement(phrase: str | Phrase) -> Announcement:
    phrase = Phrase(text=phrase) if isinstance(phrase, str) else phrase
    said = own_announcement(phrase.text, "", 0.0)
    return dataclasses.replace(
        said, urgency=RANK, voice=phrase.voice, language=phrase.language, speed=phrase.speed
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
