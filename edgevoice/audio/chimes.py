"""Chimes: a small set made of notes, and the WAV files of a folder, called by name only."""

from __future__ import annotations

import array
import math
import re
import sys
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.audio.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CHIME_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NO_CHIME = "none"
MAX_CHIME_S = 10.0
"""Seconds of a chime at most; what is longer keeps the speech waiting."""
PEAK_LEVEL = 0.35
"""Of full scale: about as loud as speech."""


@dataclass(frozen=True, slots=True)
class Note:
    """A note like that of a bell: Hz, seconds from the start, and seconds until it has died away."""

    pitch: float
    start: float
    length: float


BUILT_IN: Mapping[str, tuple[Note, ...]] = {
    "ding": (Note(880.0, 0.0, 0.6),),
    "attention": (Note(659.3, 0.0, 0.45), Note(880.0, 0.22, 0.6)),
    "question": (Note(587.3, 0.0, 0.3), Note(784.0, 0.18, 0.5)),
    "done": (Note(784.0, 0.0, 0.35), Note(523.3, 0.2, 0.6)),
    "alarm": tuple(Note(pitch, 0.16 * index, 0.22) for index, pitch in enumerate((523.3, 784.0) * 3)),
}
"""Made for EdgeVoice. The alarm's lower note lies near 520 Hz, which wakes most people who hear badly."""

OVERTONES = ((1.0, 1.0), (2.0, 0.35), (3.0, 0.15))
"""Multiples of a note's pitch, and how loud each is."""


class Chimes:
    """The chimes there are; a user's own goes before a built-in one of the same name."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises OSError if the folder cannot be read."""
        self._files = {file.stem: file for file in _files(folder)} if folder else {}
        self._made: dict[tuple[str, int], bytes] = {}

    @property
    def names(self) -> list[str]:
        return sorted({*BUILT_IN, *self._files})

    def sound(self, name: str, rate: int) -> bytes:
        """A chime as s16le mono at `rate` Hz, kept once it was made; empty if there is none of that name."""
        key = (name, rate)
        if key not in self._made:
            self._made[key] = self._make(name, rate)
        return self._made[key]

    def is_loaded(self, name: str, rate: int) -> bool:
        """Whether the sound is there at once."""
        return (name, rate) in self._made

    def tone(self, rate: int) -> bytes:
        """What sounds where a critical announcement cannot be spoken: the alarm, three times."""
        return self.sound("alarm", rate) * 3

    def problems(self) -> list[tuple[str, str]]:
        """What is wrong with the files of the folder: the name of each, and why it cannot be used."""
        problems = []
        for name, file in self._files.items():
            try:
                check_wav(file)
            except (OSError, EOFError, wave.Error, ValueError) as error:
                problems.append((name, str(error)))
        return problems

    def _make(self, name: str, rate: int) -> bytes:
        if name in self._files:
            try:
                return read_wav(self._files[name], rate)
            except (OSError, EOFError, wave.Error, ValueError):
                pass  # told when the configuration was checked
        return render(BUILT_IN.get(name, ()), rate)


def render(notes: tuple[Note, ...], rate: int) -> bytes:
    """Notes as s16le mono at `rate` Hz."""
    total = round(max((note.start + note.length for note in notes), default=0.0) * rate)
    mix = [0.0] * total
    for note in notes:
        begin, span = round(note.start * rate), round(note.length * rate)
        for index in range(min(span, total - begin)):
            mix[begin + index] += _bell(note.pitch, index / rate, note.length)
    peak = max((abs(value) for value in mix), default=0.0) or 1.0
    samples = array.array("h", (round(value / peak * PEAK_LEVEL * 32767) for value in mix))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _bell(pitch: float, time: float, length: float) -> float:
    """A struck bell: overtones that die away, an attack of 4 ms, and an end in silence."""
    envelope = min(1.0, time / 0.004) * math.exp(-5.0 * time / length) * min(1.0, (length - time) / 0.01)
    return envelope * sum(loud * math.sin(2 * math.pi * pitch * over * time) for over, loud in OVERTONES)


def check_wav(file: Path) -> None:
    """Raises as `read_wav` does, without reading the samples."""
    with wave.open(str(file)) as opened:
        channels, width, given, frames = opened.getparams()[:4]
    if width != 2 or channels not in (1, 2):
        raise ValueError(f"{channels} channels, {width * 8} bit; it has to be 16 bit, mono or stereo")
    if frames / given > MAX_CHIME_S:
        raise ValueError(f"{frames / given:.0f} s long; at most {MAX_CHIME_S:g} s")


def read_wav(file: Path, rate: int) -> bytes:
    """A WAV file of 16 bit, one or two channels, as s16le mono at `rate` Hz.

    Raises:
        ValueError: another width, too many channels, or too long.
        OSError, EOFError, wave.Error: it cannot be read.
    """
    check_wav(file)
    with wave.open(str(file)) as opened:
        channels, given, frames = opened.getnchannels(), opened.getframerate(), opened.getnframes()
        pcm = opened.readframes(frames)
    if channels == 2:
        samples = array.array("h", pcm)
        pcm = array.array(
            "h", ((a + b) // 2 for a, b in zip(samples[::2], samples[1::2], strict=True))
        ).tobytes()
    return Resampler(given, rate).feed(pcm, last=True)


def _files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.glob("*.wav"))
        if CHIME_NAME.fullmatch(file.stem) and file.is_file() and not file.is_symlink()
    ]
