"""The parts of an announcement: whole text cut at sentence ends, live text as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.plugin import SpeechRequest
from edgevoice.text.sentences import split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from edgevoice.announcement import Announcement
    from edgevoice.config.options import Lightning
    from edgevoice.text.live import LiveText

LIVE_IDLE_S = 2.0
"""Seconds of silence after which live text gives its place back (contract)."""


class TextSegment:
    """One request's worth of whole text: from `start` to `end` of it.

    `end` may be set back: what follows then is another part.
    """

    def __init__(self, announcement: Announcement, text: str, start: int, end: int) -> None:
        self._announcement = announcement
        self._text = text
        self.start = start
        self.end = end

    @property
    def text(self) -> str:
        return self._text[self.start : self.end]

    @property
    def length(self) -> int | None:
        """Its characters."""
        return self.end - self.start

    def request(self, rate: int) -> SpeechRequest:
        return _request(self._announcement, rate, text=self.text)


class LiveSegment:
    """What live text gives before its sender pauses; read anew by each transport that tries it.

    `end` is how far it was read, and may be set back: what follows then is another part. `length` is unknown.
    """

    length: int | None = None

    def __init__(self, announcement: Announcement, live: LiveText, start: int) -> None:
        self._announcement = announcement
        self._live = live
        self.start = start
        self.end = start

    @property
    def text(self) -> str:
        return self._live.text[self.start : self.end]

    def request(self, rate: int) -> SpeechRequest:
        return _request(self._announcement, rate, pieces=self._pieces())

    async def _pieces(self) -> AsyncIterator[str]:
        self.end = self.start
        async for piece in self._live.chunks(self.start, LIVE_IDLE_S):
            self.end += len(piece)
            yield piece


Part = TextSegment | LiveSegment


async def segments_of(
    announcement: Announcement,
    text: str | None,
    lightning: Lightning,
    accepts_text_stream: Callable[[], bool],
) -> AsyncIterator[Part]:
    """Yield the parts in order; each begins where the one before it ended once it was spoken."""
    if announcement.live is None:
        for whole in _of_whole(announcement, text or "", lightning.max_request_chars):
            yield whole
        return
    live, position = announcement.live, 0
    while await live.wait_past(position):
        part: Part = LiveSegment(announcement, live, position)
        if not accepts_text_stream():
            end = await live.sentence(position, LIVE_IDLE_S, lightning.max_request_chars)
            part = TextSegment(announcement, live.text, position, end)
        if isinstance(part, LiveSegment) or _is_speakable(part.text):
            yield part
        position = part.end


def first_request(text: str, most: int) -> int:
    """The characters of a whole text's first request."""
    parts = split(text[: 2 * most], most)
    return len(next((part for part in parts if _is_speakable(part)), text[:most]))


def _of_whole(announcement: Announcement, text: str, most: int) -> Iterator[TextSegment]:
    """The parts that hold a letter or digit; all of them, where none does."""
    start, texts = 0, split(text, most)
    while texts:
        end = start + len(texts.pop(0))
        part = TextSegment(announcement, text, start, end)
        if _is_speakable(part.text) or not _is_speakable(text):
            yield part
        start = part.end
        if start < end:
            texts = split(text[start:], most)


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
        text_stream=pieces,
        sample_rate=rate,
        urgency=announcement.urgency,
        voice=announcement.voice,
        language=announcement.language,
        speed=announcement.speed,
    )
