"""Turns announcements into clips, each filled by a task of its own: from the cache, or over the transports.

A `SpeechJob` is the synthesis of one announcement, and `SynthesisContext` the state that all jobs share. Failover
happens in `race.py` and nowhere else.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from edgevoice.announcement import Priority, Rank
from edgevoice.audio.clip import Clip
from edgevoice.audio.jitter_buffer import JitterStats
from edgevoice.config.options import FALLBACK_ALIAS
from edgevoice.errors import ClipError, EdgeVoiceError
from edgevoice.plugin import Role
from edgevoice.synthesis.latency import LatencyModel
from edgevoice.synthesis.race import ClipFiller
from edgevoice.synthesis.routing import CACHED, NO_PREDICTION, Decision, decide, routing_request
from edgevoice.synthesis.segments import first_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.cache.cache import Cache
    from edgevoice.config.options import CoreOptions, Route
    from edgevoice.outcome import Attempt
    from edgevoice.plugin import SpeechOptions, Transport
    from edgevoice.synthesis.concurrency import ConcurrencyLimiter
    from edgevoice.synthesis.latency import LatencyPrediction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of waiting that are not configuration; tests shorten them."""

    #: Seconds to the first audio where no other transport is left.
    last_resort_s: float = 60.0
    #: Seconds that live text may add to the first audio: the server waits for the end of a sentence.
    live_text_s: float = 5.0
    #: Seconds without audio in mid-speech after which a transport has failed.
    stall_s: float = 10.0
    #: Seconds that a request waits for a slot of its account.
    slot_s: float = 120.0
    #: Seconds that cancelled requests are waited for; then they lose their slots.
    cancel_s: float = 1.0
    #: Share of the critical deadline that the standby gets to start: its process may have to.
    standby_lead_share: float = 0.5
    #: Seconds after the critical deadline after which the standby has failed, too.
    standby_grace_s: float = 5.0


class HedgeBudget:
    """A retry budget: hedge requests are allowed as a share of the regular requests."""

    #: Hedge requests for each regular request, and how many can be saved up.
    PER_REQUEST, MAX = 0.1, 5.0

    def __init__(self) -> None:
        self._left = 0.0

    def earn(self) -> None:
        """Count a regular request."""
        self._left = min(self.MAX, round(self._left + self.PER_REQUEST, 6))

    def spend(self) -> bool:
        """Count a hedge request; return False if none is left."""
        is_left = self._left >= 1
        self._left -= is_left
        return is_left


@dataclass(frozen=True, slots=True)
class SynthesisContext:
    """The transports, their limits, and what was learned from earlier requests."""

    transports: Mapping[str, Transport]
    core: CoreOptions
    #: Defaults of all speech.
    speech: SpeechOptions
    #: The concurrency limiter of each account.
    limiters: Mapping[str, ConcurrencyLimiter]
    #: Raises or clears the fault of an account, by the account's name.
    fault: Callable[[str, str | None], None]
    #: Transports that are installed, but not configured, such as without an API key.
    unconfigured: frozenset[str] = frozenset()
    latency: LatencyModel = field(default_factory=LatencyModel)
    jitter: JitterStats = field(default_factory=JitterStats)
    hedge_budget: HedgeBudget = field(default_factory=HedgeBudget)
    timeouts: Timeouts = field(default_factory=Timeouts)

    @property
    def fallbacks(self) -> frozenset[str]:
        """Names of the transports of last resort."""
        return frozenset(filter(self.is_fallback, self.transports))

    def is_fallback(self, name: str) -> bool:
        """Return whether a transport is a voice of last resort."""
        return self.transports[name].role is Role.FALLBACK

    def limiter(self, name: str) -> ConcurrencyLimiter | None:
        """Return the concurrency limiter of a transport's account; None if it has no account."""
        account = self.transports[name].account
        return None if account is None else self.limiters[account]

    @property
    def hedging_enabled(self) -> bool:
        """Return whether a second request may run beside a late request."""
        limits = [limiter.configured for limiter in self.limiters.values()]
        return self.core.hedging_enabled(max(limits, default=1))


class SpeechJob:
    """The synthesis of an announcement, shared by every speaker that plays it.

    It starts with the first `request`. It is reference-counted: `join` and `leave` count the speakers that need
    it, `retain` and `release` the others that may read its clip later. Without a speaker, the synthesis is
    cancelled; the clip is closed once nothing refers to it any more.
    """

    def __init__(
        self,
        announcement: Announcement,
        clip: Clip,
        synthesizer: Synthesizer,
        source: SpeechJob | None = None,
    ) -> None:
        self.announcement = announcement
        #: The text to speak; None while it is live.
        self.text = announcement.text
        #: The highest priority requested so far.
        self.priority: Priority | None = None
        #: Monotonic time since which a speaker is silent, waiting for this audio.
        self.needed_since: float | None = None
        self.clip = clip
        self.decision: Decision | None = None
        self.transport: str | None = None
        #: Names of the transports that spoke a part of it.
        self.spoken_by: set[str] = set()
        self.attempts: list[Attempt] = []
        #: Monotonic times of the first request and of its first audio.
        self.requested_at: float | None = None
        self.first_audio_at: float | None = None
        self.cached = False
        #: Whether one request spoke each segment from start to end, so that the clip may be cached.
        self.is_faithful = True
        self._synthesizer = synthesizer
        self._source = source
        self._users = 0
        self._retained = 0

    @property
    def target_buffer_s(self) -> float:
        """Seconds that the clip should be ahead of playback, for the jitter of its transport."""
        return self._synthesizer.jitter.target_s(self.transport)

    @property
    def rank(self) -> Rank:
        """Its rank at the concurrency limiter."""
        return Rank(self.priority or Priority.PRERENDER, self.announcement.urgency.rank)

    @property
    def runs_out_at(self) -> float:
        """Monotonic time at which the audio so far has been played, if it was played as it arrived."""
        return max(self.first_audio_at or 0.0, self.needed_since or 0.0) + self.clip.seconds

    def request(
        self, preface: Callable[[str], str] | None = None, priority: Priority = Priority.NEEDED_NOW
    ) -> None:
        """Have the clip filled at this priority, if it is higher than before.

        `preface` returns the text to speak, such as with its age before it. A clip that failed, or in which
        another text was spoken ahead, is filled again.
        """
        if self.priority is not None and priority <= self.priority:
            return
        text = self.announcement.text
        text = text if text is None or preface is None else preface(text)
        has_started, self.priority = self.priority is not None, priority
        if priority is Priority.NEEDED_NOW:
            self.needed_since = asyncio.get_running_loop().time()
        if has_started and self.clip.error is None and text == self.text:
            self._synthesizer.priority_raised(self)
            return
        if has_started:
            self._discard()
        self.text = text
        self._synthesizer.fill(self)

    def cancel_prefetch(self) -> None:
        """Cancel the synthesis until the next request, if only one speaker needs it, and not now."""
        if self.priority is Priority.PREFETCH and self._users == 1 and not self.clip.ended:
            self._discard()
            self.priority = None

    def _discard(self) -> None:
        """Start over with an empty clip; nothing of the old one was played."""
        self._synthesizer.cancel(self)
        self.clip.close()
        self.clip, self.transport, self.cached = self._synthesizer.new_clip(), None, False
        self.is_faithful, self.spoken_by = True, set()
        self.requested_at = self.first_audio_at = None

    def join(self) -> None:
        """Count one more speaker that needs it."""
        self._users += 1

    def leave(self) -> None:
        """Count one speaker less."""
        self._users -= 1
        if self._users == 0:
            self._synthesizer.cancel(self)
            self._close_unused()

    def retain(self) -> None:
        """Keep the clip for a later reader, until `release`."""
        self._retained += 1

    def release(self) -> None:
        """Undo one `retain`."""
        self._retained -= 1
        self._close_unused()

    def _close_unused(self) -> None:
        if self._users > 0 or (self._retained > 0 and self.clip.complete):
            return
        if self._source is None:
            self.clip.close()
        elif self._users == 0:
            source, self._source = self._source, None
            source.release()

    @property
    def can_replay(self) -> bool:
        """Whether its clip is complete and can still be read."""
        return self.clip.complete and self.clip.frames > 0 and not self.clip.is_closed

    def replayed(self, announcement: Announcement) -> SpeechJob:
        """Return a job for another announcement that plays the same clip, which is complete."""
        self.retain()
        speech = SpeechJob(announcement, self.clip, self._synthesizer, source=self)
        speech.decision = Decision((), "the clip was kept from before")
        speech.transport, speech.cached, speech.priority = self.transport, True, Priority.NEEDED_NOW
        return speech


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
        #: The jitter of each transport.
        self.jitter = context.jitter
        self._context = context
        self._routes = routes
        self._cache = cache
        self._spool = spool
        self._filter_text = filter_text
        self._filling: dict[Clip, tuple[ClipFiller, asyncio.Task[None]]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for _, task in self._filling.values()]
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
        request = routing_request(announcement)
        latency = self.predict_latency(announcement.text) if request.depends_on_latency else NO_PREDICTION
        transports, fallbacks = frozenset(self._context.transports), self._context.fallbacks
        return decide(request, self._routes, transports, latency, fallbacks)

    def prerender_transports(self, announcement: Announcement) -> list[str]:
        """Return the transports that can make the clip which `cache_key` names, in order."""
        order = self.decide(announcement).order
        keys = [self._cache.key(announcement, announcement.text, name) for name in order]
        return [name for name, key in zip(order, keys, strict=True) if key == keys[0]]

    def cache_key(self, announcement: Announcement, text: str | None) -> str | None:
        """Return the cache key of a text in the voice it is preferably spoken with; None if it is not kept."""
        return self._cache_key(announcement, text, self.decide(announcement).order)

    def _cache_key(self, announcement: Announcement, text: str | None, order: Sequence[str]) -> str | None:
        return self._cache.key(announcement, text, order[0]) if order else None

    def predict_latency(self, text: str | None) -> LatencyPrediction:
        """Return what to expect of each transport for this text now."""
        context = self._context
        warm = {name: transport.is_warm for name, transport in context.transports.items()}
        characters = first_request(text or "", context.speech.max_request_chars)
        return context.latency.predict(characters, warm, context.core.route_guard_s)

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
        clip, filler = speech.clip, ClipFiller(self._context, speech)
        task = asyncio.create_task(self._fill(speech, filler), name=f"synthesis {speech.announcement.id}")
        self._filling[clip] = filler, task
        task.add_done_callback(lambda _: self._filling.pop(clip, None))

    def priority_raised(self, speech: SpeechJob) -> None:
        """Re-examine which requests go first, and the deadlines of the job's own."""
        for limiter in self._context.limiters.values():
            limiter.rebalance()
        if filling := self._filling.get(speech.clip):
            filling[0].priority_raised()

    def cancel(self, speech: SpeechJob) -> None:
        """Cancel the filling of the job's clip."""
        if filling := self._filling.get(speech.clip):
            filling[1].cancel()

    async def _fill(self, speech: SpeechJob, filler: ClipFiller) -> None:
        announcement, clip = speech.announcement, filler.clip
        try:
            decision = speech.decision = self.decide(announcement)
            key = self._cache_key(announcement, speech.text, decision.order)
            is_prerender = speech.priority is Priority.PRERENDER  # no one asked to hear it
            speech.cached = await self._cache.load_into(clip, key, counts=not is_prerender)
            if speech.cached:
                speech.decision = CACHED
                speech.first_audio_at = asyncio.get_running_loop().time()
                return
            await filler.run(decision.order)
            clip.finish()
            if key is not None and speech.is_faithful:
                spoken = {self._cache.key(announcement, speech.text, name) for name in speech.spoken_by}
                if spoken == {key}:
                    self._cache.store(key, clip)
        except EdgeVoiceError as error:
            clip.finish(error)
        except asyncio.CancelledError:
            clip.finish(ClipError("the synthesis was cancelled"))
            raise
        except Exception as error:
            logger.exception("synthesis broke", extra={"ANNOUNCEMENT_ID": announcement.id})
            clip.finish(error)
