"""The segments of an announcement: whole text is cut at sentence ends, live text is taken as it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.speech_request import speech_request
from edgevoice.text.sentences import split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from edgevoice.announcement import Announcement
    from edgevoice.plugin import SpeechOptions, SpeechRequest
    from edgevoice.text.live import LiveText

#: Seconds without more live text after which the request ends and its slot is free (contract).
LIVE_IDLE_S = 2.0


class TextSegment:
    """The text of one request: from `start` to `end` of the whole text.

    To set `end` back leaves the rest to the next segment.
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
        """The number of characters."""
        return self.end - self.start

    def request(self) -> SpeechRequest:
        return speech_request(self._announcement, self._options, text=self.text.strip())


class LiveSegment:
    """Live text until its sender pauses; every transport that tries it reads it from `start`.

    `end` is how far it was read. To set it back leaves the rest to the next segment. `length` is unknown.
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
        return speech_request(self._announcement, self._options, text_stream=self._chunks())

    async def _chunks(self) -> AsyncIterator[str]:
        self.end = self.start
        async for chunk in self._live.chunks(self.start, LIVE_IDLE_S):
            self.end += len(chunk)
            yield chunk


Segment = TextSegment | LiveSegment


async def segments_of(
    announcement: Announcement,
    text: str | None,
    options: SpeechOptions,
    accepts_text_stream: Callable[[], bool],
) -> AsyncIterator[Segment]:
    """Yield the segments in order. Each starts at the `end` of the segment before, read after that was spoken."""
    if announcement.live is None:
        for text_segment in _text_segments(announcement, options, text or ""):
            yield text_segment
        return
    live, position = announcement.live, 0
    while await live.wait_past(position):
        segment: Segment = LiveSegment(announcement, options, live, position)
        if not accepts_text_stream():
            end = await live.sentence(position, LIVE_IDLE_S, options.max_request_chars)
            segment = TextSegment(announcement, options, live.text, position, end)
        if isinstance(segment, LiveSegment) or _is_speakable(segment.text):
            yield segment
        position = segment.end


def first_request(text: str, most: int) -> int:
    """Return the number of characters of the first request of a whole text."""
    parts = split(text[: 2 * most], most)
    return len(next((part for part in parts if _is_speakable(part)), text[:most]))


def _text_segments(announcement: Announcement, options: SpeechOptions, text: str) -> Iterator[TextSegment]:
    """Yield the segments that hold a letter or digit; all of them, where none does."""
    most = options.max_request_chars
    start, texts = 0, split(text, most)
    while texts:
        end = start + len(texts.pop(0))
        segment = TextSegment(announcement, options, text, start, end)
        if _is_speakable(segment.text) or not _is_speakable(text):
            yield segment
        start = segment.end
        if start < end:
            texts = split(text[start:], most)


def _is_speakable(text: str) -> bool:
    return any(char.isalnum() for char in text)
