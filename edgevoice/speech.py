"""The speech of one announcement: its clip, how it came to be, and who still needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.routing import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement
    from edgevoice.clip import Clip
    from edgevoice.outcome import Attempt
    from edgevoice.synthesis import Synthesis


class Speech:
    """Shared by all speakers of this node that say the announcement; filled at the first need.

    `text` is what is said, None while it is live. `asked_at` and `first_audio_at` are monotonic seconds,
    None until then. It is spoken `as_asked` unless another voice said a part of it, or a part was put together
    from two requests. `on_unused` is told when nobody needs it any more, and closes the clip.
    """

    def __init__(self, announcement: Announcement, clip: Clip, synthesis: Synthesis) -> None:
        self.announcement = announcement
        self.text = announcement.text
        self.clip = clip
        self.decision: Decision | None = None
        self.transport: str | None = None
        self.attempts: list[Attempt] = []
        self.asked_at: float | None = None
        self.first_audio_at: float | None = None
        self.cached = False
        self.as_asked = True
        self.on_unused: Callable[[Speech], None] = _close
        self._synthesis = synthesis
        self._users = 0
        self._begun = False

    def begin(self, preface: Callable[[str], str] | None = None) -> None:
        """Start filling the clip, if nobody has yet; `preface` says what a text is to be told with."""
        if not self._begun:
            self._begun = True
            if preface is not None and self.text is not None:
                self.text = preface(self.text)
            self._synthesis.fill(self)

    def join(self) -> None:
        """One more speaker needs it."""
        self._users += 1

    def leave(self) -> None:
        """One speaker needs it no more; after the last, what is unmade is given up."""
        self._users -= 1
        if self._users == 0:
            self._synthesis.give_up(self)
            self.on_unused(self)

    def replayed(self, announcement: Announcement) -> Speech:
        """The same clip, which is complete, for another announcement; no request is made for it."""
        speech = Speech(announcement, self.clip, self._synthesis)
        speech.decision = Decision((), "the clip was kept from before")
        speech.transport, speech.cached, speech._begun = self.transport, True, True
        return speech


def _close(speech: Speech) -> None:
    speech.clip.close()
