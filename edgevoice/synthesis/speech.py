"""The speech of one announcement: its clip, how it came to be, and who still needs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice.priority import Priority, Rank
from edgevoice.synthesis.routing import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement
    from edgevoice.audio.clip import Clip
    from edgevoice.outcome import Attempt
    from edgevoice.synthesis.synthesizer import Synthesizer


class SpeechJob:
    """Shared by all speakers of this node that say the announcement; filled at the first need.

    `need` is the greatest there is, None before any; `on_needed` is told when it grows while the clip is filled.
    `text` is what is said, None while it is live. `awaited_at`, from which on somebody is silent until it is
    there, `asked_at` and `first_audio_at` are monotonic seconds, None until then. It is spoken `as_asked` unless
    another voice said a part of it, or a part was put together from two requests. `on_unused` is told when nobody needs it any more, and closes the clip.
    """

    def __init__(self, announcement: Announcement, clip: Clip, synthesis: Synthesizer) -> None:
        self.announcement = announcement
        self.text = announcement.text
        self.priority: Priority | None = None
        self.needed_since: float | None = None
        self.on_priority_change: Callable[[], None] = lambda: None
        self.clip = clip
        self.decision: Decision | None = None
        self.transport: str | None = None
        self.attempts: list[Attempt] = []
        self.requested_at: float | None = None
        self.first_audio_at: float | None = None
        self.cached = False
        self.is_faithful = True
        #: Names of the transports that spoke a part of it.
        self.spoken_by: set[str] = set()
        self.on_unused: Callable[[SpeechJob], None] = _close
        self._synthesis = synthesis
        self._users = 0

    @property
    def target_buffer_s(self) -> float:
        """Seconds that its clip should be ahead of what is heard, by the pace of its transport."""
        return self._synthesis.jitter.of(self.transport)

    @property
    def rank(self) -> Rank:
        """Its rank at the account's gate."""
        return Rank(self.priority or Priority.PRERENDER, self.announcement.urgency.rank)

    @property
    def runs_out_at(self) -> float:
        """The monotonic second at which all that there is has been heard, if it was as it came, once awaited."""
        return max(self.first_audio_at or 0.0, self.needed_since or 0.0) + self.clip.seconds

    def request(
        self, preface: Callable[[str], str] | None = None, need: Priority = Priority.NEEDED_NOW
    ) -> None:
        """Have the clip filled, unless it is needed so much already; `preface` says how a text is to be told.

        What was made ahead but failed, or would be told in other words now, is made anew.
        """
        if self.priority is not None and need <= self.priority:
            return
        text = self.announcement.text
        text = text if text is None or preface is None else preface(text)
        begun, self.priority = self.priority is not None, need
        if need is Priority.NEEDED_NOW:
            self.needed_since = asyncio.get_running_loop().time()
        if begun and self.clip.error is None and text == self.text:
            self._synthesis.priority_changed()
            self.on_priority_change()
            return
        if begun:
            self._discard()
        self.text = text
        self._synthesis.fill(self)

    def cancel_prefetch(self) -> None:
        """Its speaker holds it: what is being made ahead is given up until the next need, if no other shares it."""
        if self.priority is Priority.PREFETCH and self._users == 1 and not self.clip.ended:
            self._discard()
            self.priority = None

    def _discard(self) -> None:
        """Forget what was made of it, which nobody has heard."""
        self._synthesis.cancel(self)
        self.clip.close()
        self.clip, self.transport, self.cached, self.is_faithful = (
            self._synthesis.new_clip(),
            None,
            False,
            True,
        )
        self.requested_at = self.first_audio_at = None
        self.spoken_by = set()

    def join(self) -> None:
        """One more speaker needs it."""
        self._users += 1

    def leave(self) -> None:
        """One speaker needs it no more; after the last, what is unmade is given up."""
        self._users -= 1
        if self._users == 0:
            self._synthesis.cancel(self)
            self.on_unused(self)

    def replayed(self, announcement: Announcement) -> SpeechJob:
        """The same clip, which is complete, for another announcement; no request is made for it."""
        speech = SpeechJob(announcement, self.clip, self._synthesis)
        speech.decision = Decision((), "the clip was kept from before")
        speech.transport, speech.cached, speech.priority = self.transport, True, Priority.NEEDED_NOW
        return speech


def _close(speech: SpeechJob) -> None:
    speech.clip.close()
