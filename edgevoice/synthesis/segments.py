"""The segments of an announcement: whole text is cut at sentence ends, live text is taken as it arrives.

After a failure the next segment begins where the words are not yet spoken. The estimate must repeat words and never
skip one. See docs/decisions/resume-after-failure.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.plugin import speech_request
from edgevoice.text.sentences import sentence_ends, split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.plugin import SpeechOptions, SpeechRequest, WordMark
    from edgevoice.text.live import LiveText

#: Seconds without more live text after which the request ends and its slot is free.
LIVE_IDLE_S = 2.0
#: Seconds of audio after the end of a word before it counts as spoken.
WORD_MARGIN_S = 0.05
#: Letters that a voice reads in a second at the very least, at speed 1.
SLOWEST_LETTERS_PER_S = 4.0
#: A sentence counts as spoken when this share of the audio would have been enough to read it.
SURE_SHARE = 0.9
#: Letters that a digit and a character of a script without an alphabet are read as, roughly.
DIGIT_LETTERS, WIDE_LETTERS = 4, 3
_TRAILING = ",.;:!?…"


@dataclass(slots=True)
class Segment:
    """The text of one request: from `start` to `end` of `whole`. To set `end` back leaves the rest to the next one.

    With `live`, the request reads live text from `start` until its sender pauses; `end` is how far it was read.
    """

    announcement: Announcement
    options: SpeechOptions
    whole: str
    start: int
    end: int
    live: LiveText | None = None

    @property
    def text(self) -> str:
        whole = self.whole if self.live is None else self.live.text
        return whole[self.start : self.end]

    def request(self) -> SpeechRequest:
        """Return the request of one transport. Each that tries live text reads it from the start."""
        if self.live is None:
            return speech_request(self.announcement, self.options, text=self.text.strip())
        return speech_request(self.announcement, self.options, text_stream=self._chunks(self.live))

    async def _chunks(self, live: LiveText) -> AsyncIterator[str]:
        self.end = self.start
        async for chunk in live.chunks(self.start, LIVE_IDLE_S):
            self.end += len(chunk)
            yield chunk


async def segments_of(
    announcement: Announcement,
    text: str | None,
    options: SpeechOptions,
    accepts_text_stream: Callable[[], bool],
) -> AsyncIterator[Segment]:
    """Yield the segments in order. Each starts at the `end` of the segment before, read after that was spoken.

    Segments without a letter or digit are left out, unless a whole text has none at all.
    """
    live, start, most = announcement.live, 0, options.max_request_chars
    whole = text or ""
    while await live.wait_past(start) if live is not None else start < len(whole):
        if live is None:
            part = split(whole[start : start + 2 * most], most)[0]
            segment = Segment(announcement, options, whole, start, start + len(part))
        elif accepts_text_stream():
            segment = Segment(announcement, options, "", start, start, live)
        else:
            end = await live.sentence(start, LIVE_IDLE_S, most)
            segment = Segment(announcement, options, live.text, start, end)
        if segment.live or _has_word(segment.text) or (live is None and not _has_word(whole)):
            yield segment
        start = segment.end


def first_request(text: str, most: int) -> int:
    """Return the number of characters of the first request of a whole text."""
    parts = split(text[: 2 * most], most)
    return len(next(filter(_has_word, parts), text[:most]))


def unspoken_offset(text: str, seconds: float, marks: Sequence[WordMark], speed: float = 1.0) -> int:
    """Return the offset in `text` of the words left to say after `seconds` of its speech."""
    return offset_from_word_marks(text, marks, seconds) if marks else offset_from_share(text, seconds, speed)


def offset_from_word_marks(text: str, marks: Iterable[WordMark], seconds: float) -> int:
    """Return the offset of the first word that was not spoken to its end."""
    position = 0
    for mark in marks:
        found = text.find(mark.word, position)
        # A word without a mark may be unspoken.
        if found < 0 or mark.end + WORD_MARGIN_S > seconds or _has_word(text[position:found]):
            break
        position = found + len(mark.word)
    while position < len(text) and (text[position].isspace() or text[position] in _TRAILING):
        position += 1
    return position


def offset_from_share(text: str, seconds: float, speed: float = 1.0) -> int:
    """Return the end of the last sentence that even a slow voice had spoken; 0 to repeat the text.

    The last sentence of the text never counts as spoken.
    """
    read = seconds * SLOWEST_LETTERS_PER_S * speed * SURE_SHARE
    ends = [end for end in sentence_ends(text) if _has_word(text[end:])]
    return max((end for end in ends if reading_length(text[:end]) <= read), default=0)


def reading_length(text: str) -> int:
    """Return how long a text is to read, in letters."""
    return sum(DIGIT_LETTERS if char.isdigit() else WIDE_LETTERS if char >= "\u2e80" else 1 for char in text)


def _has_word(text: str) -> bool:
    return any(map(str.isalnum, text))
