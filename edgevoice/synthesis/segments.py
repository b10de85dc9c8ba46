"""The parts of an announcement: whole text cut at sentence ends, live text as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.speech_request import speech_request
from edgevoice.text.sentences import split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from edgevoice.announcement import Announcement
    from edgevoice.plugin import SpeechOptions, SpeechRequest
    from edgevoice.text.live import LiveText

LIVE_IDLE_S = 2.0
"""Seconds of silence after which live text gives its place back (contract)."""


class TextSegment:
    """One request's worth of whole text: from `start` to `end` of it.

    `end` may be set back: what follows then is another part.
    """

    def __init__(
        self, announcement: Announcement, options: SpeechOptions, text: str, start: int, end: int
    ) -> None:
        self._announcement = announcement
        self._options = options
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

    def request(self) -> SpeechRequest:
        return speech_request(self._announcement, self._options, text=self.text.strip())


class LiveSegment:
    """What live text gives before its sender pauses; read anew by each transport that tries it.

    `end` is how far it was read, and may be set back: what follows then is another part. `length` is unknown.
    """

    length: int | None = None

    def __init__(
        self, announcement: Announcement, options: SpeechOptions, live: LiveText, start: int
    ) -> None:
        self._announcement = announcement
        self._options = options
        self._live = live
        self.start = start
        self.end = start

    @property
    def text(self) -> str:
        return self._live.text[self.start : self.end]

    def request(self) -> SpeechRequest:
        return speech_request(self._announcement, self._options, text_stream=self._pieces())

    async def _pieces(self) -> AsyncIterator[str]:
        self.end = self.start
        async for piece in self._live.chunks(self.start, LIVE_IDLE_S):
            self.end += len(piece)
            yield piece


Part = TextSegment | LiveSegment


async def segments_of(
    announcement: Announcement,
    text: str | None,
    options: SpeechOptions,
    accepts_text_stream: Callable[[], bool],
) -> AsyncIterator[Part]:
    """Yield the parts in order; each begins where the one before it ended once it was spoken."""
    if announcement.live is None:
        for whole in _of_whole(announcement, options, text or ""):
            yield whole
        return
    live, position = announcement.live, 0
    while await live.wait_past(position):
        part: Part = LiveSegment(announcement, options, live, position)
        if not accepts_text_stream():
            end = await live.sentence(position, LIVE_IDLE_S, options.max_request_chars)
            part = TextSegment(announcement, options, live.text, position, end)
        if isinstance(part, LiveSegment) or _is_speakable(part.text):
            yield part
        position = part.end


def first_request(text: str, most: int) -> int:
    """The characters of a whole text's first request."""
    parts = split(text[: 2 * most], most)
    return len(next((part for part in parts if _is_speakable(part)), text[:most]))


def _of_whole(announcement: Announcement, options: SpeechOptions, text: str) -> Iterator[TextSegment]:
    """The parts that hold a letter or digit; all of them, where none does."""
    most = options.max_request_chars
    start, texts = 0, split(text, most)
    while texts:
        end = start + len(texts.pop(0))
        part = TextSegment(announcement, options, text, start, end)
        if _is_speakable(part.text) or not _is_speakable(text):
            yield part
        start = part.end
        if start < end:
            texts = split(text[start:], most)


def _is_speakable(text: str) -> bool:
    return any(char.isalnum() for char in text)
