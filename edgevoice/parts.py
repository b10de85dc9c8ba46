"""The parts of an announcement: whole text cut at sentence ends, live text as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.plugin import SpeechRequest
from edgevoice.sentences import split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice.announcement import Announcement
    from edgevoice.config.options import Lightning
    from edgevoice.live import LiveText

IDLE = 2.0
"""Seconds of silence after which live text gives its place back (contract)."""


class TextPart:
    """One request's worth of whole text, `length` characters."""

    def __init__(self, announcement: Announcement, text: str) -> None:
        self._announcement = announcement
        self._text = text
        self.length: int | None = len(text)

    def request(self, rate: int) -> SpeechRequest:
        return _request(self._announcement, rate, text=self._text)


class LivePart:
    """What live text gives before its sender pauses, as long as it may be; read anew by each transport."""

    length: int | None = None

    def __init__(self, announcement: Announcement, live: LiveText, start: int) -> None:
        self._announcement = announcement
        self._live = live
        self._start = start
        self.end = start

    def request(self, rate: int) -> SpeechRequest:
        return _request(self._announcement, rate, pieces=self._pieces())

    def leave_unspoken(self) -> None:
        """Nothing of it was spoken: the next part begins where this one did."""
        self.end = self._start

    async def _pieces(self) -> AsyncIterator[str]:
        self.end = self._start
        async for piece in self._live.pieces(self._start, IDLE):
            self.end += len(piece)
            yield piece


Part = TextPart | LivePart


async def parts_of(
    announcement: Announcement, text: str | None, lightning: Lightning, takes_pieces: Callable[[], bool]
) -> AsyncIterator[Part]:
    """Yield the parts in order; each has to be spoken before the next is asked for."""
    most = lightning.max_request_chars
    if announcement.live is None:
        for part_text in _speakable(split(text or "", most)):
            yield TextPart(announcement, part_text)
        return
    live, position = announcement.live, 0
    while await live.beyond(position):
        if takes_pieces():
            part = LivePart(announcement, live, position)
            yield part
            position = part.end
        else:
            end = await live.sentence(position, IDLE, most)
            text, position = live.text[position:end], end
            if _is_speakable(text):
                yield TextPart(announcement, text)


def first_request(text: str, most: int) -> int:
    """The characters of a whole text's first request."""
    return len(next(iter(_speakable(split(text[: 2 * most], most))), ""))


def _speakable(parts: list[str]) -> list[str]:
    """Without the parts that hold no letter or digit, unless that is all there is."""
    return [part for part in parts if _is_speakable(part)] or parts


def _is_speakable(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _request(
    announcement: Announcement,
    rate: int,
    *,
    text: str | None = None,
    pieces: AsyncIterator[str] | None = None,
) -> SpeechRequest:
    return SpeechRequest(
        id=announcement.id,
        text=None if text is None else text.strip(),
        pieces=pieces,
        sample_rate=rate,
        urgency=announcement.urgency,
        voice=announcement.voice,
        language=announcement.language,
        speed=announcement.speed,
    )
