"""The synthesis job of an announcement: its clip, how that is filled, and which users still need it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from edgevoice.announcement import Priority, Rank
from edgevoice.synthesis.routing import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement
    from edgevoice.audio.clip import Clip
    from edgevoice.audio.jitter_buffer import JitterStats
    from edgevoice.outcome import Attempt


class Filler(Protocol):
    """Fills the clips of speech jobs: the synthesizer."""

    @property
    def jitter(self) -> JitterStats:
        """The jitter of each transport."""

    def new_clip(self) -> Clip:
        """Return an empty clip."""

    def fill(self, speech: SpeechJob) -> None:
        """Fill the clip of a job in the background."""

    def cancel(self, speech: SpeechJob) -> None:
        """Cancel the filling of the job's clip."""

    def priority_changed(self) -> None:
        """Re-examine which requests go first."""


class SpeechJob:
    """A synthesis job, shared by every speaker that plays the announcement.

    It starts with the first `request`. It is reference-counted: `join` and `leave` count the speakers that need
    it, `keep` and `release` the others that may read its clip later. Without a speaker, the synthesis is
    cancelled; the clip is closed once nothing refers to it any more.
    """

    def __init__(
        self, announcement: Announcement, clip: Clip, filler: Filler, source: SpeechJob | None = None
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
        self._filler = filler
        self._source = source
        self._priority_raised = asyncio.Event()
        self._users = 0
        self._keepers = 0

    @property
    def target_buffer_s(self) -> float:
        """Seconds that the clip should be ahead of playback, for the jitter of its transport."""
        return self._filler.jitter.target_s(self.transport)

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
            self._filler.priority_changed()
            self._priority_raised.set()
            self._priority_raised = asyncio.Event()
            return
        if has_started:
            self._discard()
        self.text = text
        self._filler.fill(self)

    async def wait_priority_raised(self) -> None:
        """Wait until the priority is raised while the clip is being filled."""
        await self._priority_raised.wait()

    def cancel_prefetch(self) -> None:
        """Cancel the synthesis until the next request, if only one speaker needs it, and not now."""
        if self.priority is Priority.PREFETCH and self._users == 1 and not self.clip.ended:
            self._discard()
            self.priority = None

    def _discard(self) -> None:
        """Start over with an empty clip; nothing of the old one was played."""
        self._filler.cancel(self)
        self.clip.close()
        self.clip, self.transport, self.cached = self._filler.new_clip(), None, False
        self.is_faithful, self.spoken_by = True, set()
        self.requested_at = self.first_audio_at = None

    def join(self) -> None:
        """Count one more speaker that needs it."""
        self._users += 1

    def leave(self) -> None:
        """Count one speaker less."""
        self._users -= 1
        if self._users == 0:
            self._filler.cancel(self)
            self._close_unused()

    def keep(self) -> None:
        """Count one more reader that may read its clip later."""
        self._keepers += 1

    def release(self) -> None:
        """Count one such reader less."""
        self._keepers -= 1
        self._close_unused()

    def _close_unused(self) -> None:
        if self._users > 0 or (self._keepers > 0 and self.clip.complete):
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
        self.keep()
        speech = SpeechJob(announcement, self.clip, self._filler, source=self)
        speech.decision = Decision((), "the clip was kept from before")
        speech.transport, speech.cached, speech.priority = self.transport, True, Priority.NEEDED_NOW
        return speech
