"""The local voice's child process: says one utterance after the other, and ends with its parent.

Nothing but what follows is read while an utterance is made, so anything that can be read then means: stop.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import msgspec

from edgevoice import BYTES_PER_FRAME, Resampler
from edgevoice_plugins.local_voice.espeak import Espeak, EspeakError
from edgevoice_plugins.local_voice.wire import Kind, SpokenWord, Utterance, frame

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMES_PER_SECOND = 33
"""Frames of audio are 30 ms."""
_SILENT_LEAD = 512 * 1024
"""Bytes of silence that are kept back at most until it shows whether anything is said."""


class Speech:
    """One utterance on its way up: resampled, cut into frames, its words timed."""

    def __init__(self, utterance: Utterance, up: int, source_rate: int) -> None:
        self._up = up
        self._text = utterance.text
        self._resampler = Resampler(source_rate, utterance.sample_rate)
        self._size = utterance.sample_rate // FRAMES_PER_SECOND * BYTES_PER_FRAME
        self._source_rate = source_rate
        self._lead = b""
        self._rest = b""
        self._audible = False
        self._words = 0
        self._open: tuple[str, float] | None = None
        self._spoken_to = 0

    def audio(self, pcm: bytes) -> bool:
        """Take audio; False if it shall stop."""
        if select.select([0], [], [], 0)[0]:
            return False
        if not self._audible:
            self._lead += pcm
            self._audible = any(pcm) or len(self._lead) > _SILENT_LEAD
            pcm = self._lead
        if self._audible:
            self._send(self._resampler.feed(pcm))
        return True

    def word(self, offset: int, start: float) -> None:
        """A word begins; the run of characters without white space that it stands in is what is told."""
        if offset < self._spoken_to or offset >= len(self._text):
            return
        begin = max(self._text.rfind(blank, 0, offset) for blank in " \t\n") + 1
        run = self._text[begin:].split(maxsplit=1)[0] if self._text[begin:].split(maxsplit=1) else ""
        self._spoken_to = begin + max(1, len(run))
        self._tell_word(start)
        self._open = (run, start)

    def end(self) -> None:
        """All is made: send the rest. A text that says nothing has no audio at all."""
        if self._audible:
            self._send(self._resampler.feed(b"", last=True), last=True)
            self._tell_word(self._resampler.taken / self._source_rate)

    def _tell_word(self, end: float) -> None:
        if self._open is not None and self._open[0]:
            word = SpokenWord(self._words, self._open[0], self._open[1], end)
            self._words += 1
            _write(self._up, frame(Kind.WORD, msgspec.json.encode(word)))
        self._open = None

    def _send(self, pcm: bytes, *, last: bool = False) -> None:
        pcm = self._rest + pcm
        whole = len(pcm) if last else len(pcm) - len(pcm) % self._size
        self._rest = pcm[whole:]
        for start in range(0, whole, self._size):
            _write(self._up, frame(Kind.AUDIO, pcm[start : min(start + self._size, whole)]))


def main() -> None:
    up = _own_output()
    try:
        espeak = Espeak()
    except (EspeakError, OSError) as error:
        _write(up, frame(Kind.FAILED, str(error).encode()))
        return
    _write(up, frame(Kind.READY))
    for utterance in _utterances():
        speech = Speech(utterance, up, espeak.rate)
        try:
            espeak.speak(utterance.text, utterance.voice, utterance.rate, speech.audio, speech.word)
            speech.end()
        except EspeakError as error:
            _write(up, frame(Kind.FAILED, str(error).encode()))
        else:
            _write(up, frame(Kind.DONE))


def _own_output() -> int:
    """Keep standard output for the frames alone: what the library prints goes to standard error."""
    up = os.dup(1)
    os.dup2(2, 1)
    return up


def _utterances() -> Iterator[Utterance]:
    """Read from the parent until it ends; unbuffered, so that `select` sees all that is unread."""
    rest = b""
    while piece := os.read(0, 65536):
        *lines, rest = (rest + piece).split(b"\n")
        for each in lines:
            if each:
                yield msgspec.json.decode(each, type=Utterance)


def _write(up: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(up, view) :]
        except BrokenPipeError:
            os._exit(0)  # the parent is gone, and the library below could not be unwound


if __name__ == "__main__":
    main()
