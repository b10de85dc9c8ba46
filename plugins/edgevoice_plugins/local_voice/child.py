"""The local voice's child process: speaks one utterance after the other, and ends with its parent.

The parent sends nothing but a stop while an utterance is made, so any input then means: stop.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import msgspec

from edgevoice import BYTES_PER_FRAME, Resampler
from edgevoice_plugins.local_voice.espeak import Espeak, EspeakError
from edgevoice_plugins.local_voice.wire import Kind, SpokenWord, Utterance, encode_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Frames of audio last 30 ms.
FRAMES_PER_SECOND = 33
#: Bytes of leading silence that are held back until something is spoken: a text may hold nothing to speak.
MAX_SILENT_LEAD_BYTES = 512 * 1024


class UtteranceWriter:
    """Writes one utterance to the parent: resampled, cut into frames, with its words timed."""

    def __init__(self, utterance: Utterance, output: int, source_rate: int) -> None:
        self._output = output
        self._text = utterance.text
        self._resampler = Resampler(source_rate, utterance.sample_rate)
        self._frame_bytes = utterance.sample_rate // FRAMES_PER_SECOND * BYTES_PER_FRAME
        self._source_rate = source_rate
        self._lead = b""
        self._rest = b""
        self._audible = False
        self._words = 0
        self._current: tuple[str, float] | None = None
        self._spoken_to = 0

    def audio(self, pcm: bytes) -> bool:
        """Write audio; return False if the parent wants the utterance to stop."""
        if select.select([0], [], [], 0)[0]:
            return False
        if not self._audible:
            self._lead += pcm
            self._audible = any(pcm) or len(self._lead) > MAX_SILENT_LEAD_BYTES
            pcm = self._lead
        if self._audible:
            self._send(self._resampler.feed(pcm))
        return True

    def word(self, offset: int, start: float) -> None:
        """Note that a word begins at a character offset; all characters up to the next white space belong to it."""
        if offset < self._spoken_to or offset >= len(self._text):
            return
        begin = max(self._text.rfind(blank, 0, offset) for blank in " \t\n") + 1
        run = self._text[begin:].split(maxsplit=1)[0] if self._text[begin:].split(maxsplit=1) else ""
        self._spoken_to = begin + max(1, len(run))
        self._write_word(start)
        self._current = (run, start)

    def end(self) -> None:
        """Write the rest. A text with nothing to speak has no audio at all."""
        if self._audible:
            self._send(self._resampler.feed(b"", last=True), last=True)
            self._write_word(self._resampler.taken / self._source_rate)

    def _write_word(self, end: float) -> None:
        if self._current is not None and self._current[0]:
            word = SpokenWord(self._words, self._current[0], self._current[1], end)
            self._words += 1
            _write(self._output, encode_frame(Kind.WORD, msgspec.json.encode(word)))
        self._current = None

    def _send(self, pcm: bytes, *, last: bool = False) -> None:
        pcm = self._rest + pcm
        whole = len(pcm) if last else len(pcm) - len(pcm) % self._frame_bytes
        self._rest = pcm[whole:]
        for start in range(0, whole, self._frame_bytes):
            _write(self._output, encode_frame(Kind.AUDIO, pcm[start : min(start + self._frame_bytes, whole)]))


def main() -> None:
    """Speak until standard input ends."""
    output = _take_stdout()
    try:
        espeak = Espeak()
    except (EspeakError, OSError) as error:
        _write(output, encode_frame(Kind.FAILED, str(error).encode()))
        return
    _write(output, encode_frame(Kind.READY))
    for utterance in _utterances():
        writer = UtteranceWriter(utterance, output, espeak.rate)
        try:
            espeak.speak(
                utterance.text, utterance.voice, utterance.words_per_minute, writer.audio, writer.word
            )
            writer.end()
        except EspeakError as error:
            _write(output, encode_frame(Kind.FAILED, str(error).encode()))
        else:
            _write(output, encode_frame(Kind.DONE))


def _take_stdout() -> int:
    """Return standard output for the frames alone; what the library prints goes to standard error."""
    output = os.dup(1)
    os.dup2(2, 1)
    return output


def _utterances() -> Iterator[Utterance]:
    """Yield what the parent sends until it ends. Read unbuffered, so that `select` sees all that is unread."""
    rest = b""
    while piece := os.read(0, 65536):
        *lines, rest = (rest + piece).split(b"\n")
        for each in lines:
            if each:
                yield msgspec.json.decode(each, type=Utterance)


def _write(output: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(output, view) :]
        except BrokenPipeError:
            os._exit(0)  # the parent is gone; an exception cannot pass through the C library


if __name__ == "__main__":
    main()
