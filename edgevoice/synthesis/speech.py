"""The speech of one announcement: its clip, how it came to be, and who still needs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice.routing import Decision
from edgevoice.synthesis.gate import Need, Rank

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement
    from edgevoice.outcome import Attempt
    from edgevoice.synthesis.clip import Clip
    from edgevoice.synthesis.synthesis import Synthesis


class Speech:
    """Shared by all speakers of this node that say the announcement; filled at the first need.

    `need` is the greatest there is, None before any; `on_needed` is told when it grows while the clip is filled.
    `text` is what is said, None while it is live. `awaited_at`, from which on somebody is silent until it is
    there, `asked_at` and `first_audio_at` are monotonic seconds, None until then. It is spoken `as_asked` unless
    another voice said a part of it, or a part was put together from two requests. `on_unused` is told when nobody needs it any more, and closes the clip.
    """

    def __init__(self, announcement: Announcement, clip: Clip, synthesis: Synthesis) -> None:
        self.announcement = announcement
        self.text = announcement.text
        self.need: Need | None = None
        self.awaited_at: float | None = None
        self.on_needed: Callable[[], None] = lambda: None
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

    @property
    def headstart(self) -> float:
        """Seconds that its clip should be ahead of what is heard, by the pace of its transport."""
        return self._synthesis.headstarts.of(self.transport)

    @property
    def rank(self) -> Rank:
        """Its rank at the account's gate."""
        return Rank(self.need or Need.SPARE, self.announcement.urgency.rank)

    @property
    def dry_at(self) -> float:
        """The monotonic second at which all that there is has been heard, if it was as it came, once awaited."""
        return max(self.first_audio_at or 0.0, self.awaited_at or 0.0) + self.clip.seconds

    def begin(self, preface: Callable[[str], str] | None = None, need: Need = Need.NOW) -> None:
        """Have the clip filled, unless it is needed so much already; `preface` says how a text is to be told.

        What was made ahead but failed, or would be told in other words now, is made anew.
        """
        if self.need is not None and need <= self.need:
            return
        text = self.announcement.text
        text = text if text is None or preface is None else preface(text)
        begun, self.need = self.need is not None, need
        if need is Need.NOW:
            self.awaited_at = asyncio.get_running_loop().time()
        if begun and self.clip.error is None and text == self.text:
            self._synthesis.hurry()
            self.on_needed()
            return
        if begun:
            self._throw_away()
        self.text = text
        self._synthesis.fill(self)

    def put_off(self) -> None:
        """Its speaker holds it: what is being made ahead is given up until the next need, if no other shares it."""
        if self.need is Need.SOON and self._users == 1 and not self.clip.ended:
            self._throw_away()
            self.need = None

    def _throw_away(self) -> None:
        """Forget what was made of it, which nobody has heard."""
        self._synthesis.give_up(self)
        self.clip.close()
        self.clip, self.transport, self.cached, self.as_asked = self._synthesis.clip(), None, False, True
        self.asked_at = self.first_audio_at = None

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
        speech.transport, speech.cached, speech.need = self.transport, True, Need.NOW
        return speech


def _close(speech: Speech) -> None:
    speech.clip.close()
