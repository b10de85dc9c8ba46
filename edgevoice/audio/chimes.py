"""Chimes: five built-in ones, synthesized from notes, and the WAV files of a folder, by name."""

from __future__ import annotations

import array
import functools
import logging
import math
import re
import struct
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.audio.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

CHIME_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
#: The chime's name that means: no chime.
NO_CHIME = "none"
#: Longest chime: the speech waits for it.
MAX_CHIME_S = 10.0
#: Share of full scale: about as loud as speech.
PEAK_LEVEL = 0.35
#: Sounds in place of a user's chime whose file cannot be read, if no built-in one has its name.
FALLBACK_CHIME = "attention"


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a bell: it decays within `length_s`."""

    pitch_hz: float
    start_s: float
    length_s: float


#: The alarm's lower note is near 520 Hz, which wakes most people with a hearing loss.
BUILT_IN: Mapping[str, tuple[Note, ...]] = {
    "ding": (Note(880.0, 0.0, 0.6),),
    "attention": (Note(659.3, 0.0, 0.45), Note(880.0, 0.22, 0.6)),
    "question": (Note(587.3, 0.0, 0.3), Note(784.0, 0.18, 0.5)),
    "done": (Note(784.0, 0.0, 0.35), Note(523.3, 0.2, 0.6)),
    "alarm": tuple(Note(pitch, 0.16 * index, 0.22) for index, pitch in enumerate((523.3, 784.0) * 3)),
}
#: Errors of a file that cannot be used.
_UNUSABLE = (OSError, EOFError, wave.Error, ValueError)
#: Multiples of a note's pitch, and their amplitudes.
OVERTONES = ((1.0, 1.0), (2.0, 0.35), (3.0, 0.15))


class Chimes:
    """The built-in chimes and the user's own, which win where both have the same name."""

    def __init__(self, folder: Path | None = None) -> None:
        """List the folder, which blocks.

        Raises:
            OSError: the folder cannot be read.
        """
        self._files = {file.stem: file for file in _files(folder)} if folder else {}
        self._sounds: dict[tuple[str, int], bytes] = {}
        self._unreadable: set[str] = set()

    @property
    def names(self) -> list[str]:
        return sorted({*BUILT_IN, *self._files})

    def sound(self, name: str, rate: int) -> bytes:
        """Return a chime as s16le mono at `rate` Hz; empty for an unknown name. Blocks unless it `is_loaded`.

        A built-in chime takes the place of a file that cannot be read. The file is tried again the next time.
        """
        key = (name, rate)
        if key in self._sounds:
            return self._sounds[key]
        notes = BUILT_IN.get(name, ())
        if name not in self._files:
            pcm = render(notes, rate)
        else:
            try:
                pcm = read_wav(self._files[name], rate)
            except _UNUSABLE as error:
                self._warn(name, error)
                return render(notes or BUILT_IN[FALLBACK_CHIME], rate)
            self._unreadable.discard(name)
        self._sounds[key] = pcm
        return pcm

    def is_loaded(self, name: str, rate: int) -> bool:
        """Return whether `sound` returns without reading or computing."""
        return (name, rate) in self._sounds

    def tone(self, rate: int) -> bytes:
        """Return what replaces a critical announcement that cannot be spoken: the alarm, three times."""
        return self.sound("alarm", rate) * 3

    def problems(self) -> list[tuple[str, str]]:
        """Return name and problem of each file of the folder that cannot be used."""
        problems = []
        for name, file in self._files.items():
            try:
                check_wav(file)
            except _UNUSABLE as error:
                problems.append((name, str(error)))
        return problems

    def _warn(self, name: str, error: Exception) -> None:
        """Log why a user's chime cannot be read, once until it can be."""
        if name not in self._unreadable:
            self._unreadable.add(name)
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            logger.warning(
                "chime %s: cannot read %s: %s; a built-in chime is played", name, self._files[name], reason
            )


@functools.lru_cache(maxsize=32)
def render(notes: tuple[Note, ...], rate: int) -> bytes:
    """Synthesize notes as s16le mono at `rate` Hz."""
    total = round(max((note.start_s + note.length_s for note in notes), default=0.0) * rate)
    mix = [0.0] * total
    for note in notes:
        begin, span = round(note.start_s * rate), round(note.length_s * rate)
        for index in range(min(span, total - begin)):
            mix[begin + index] += _bell(note, index / rate)
    peak = max((abs(value) for value in mix), default=0.0) or 1.0
    return struct.pack(f"<{total}h", *(round(value / peak * PEAK_LEVEL * 32767) for value in mix))


def _bell(note: Note, time_s: float) -> float:
    """Return a sample of a struck bell: decaying overtones, an attack of 4 ms, and silence at the end."""
    attack, release = min(1.0, time_s / 0.004), min(1.0, (note.length_s - time_s) / 0.01)
    phase = 2 * math.pi * note.pitch_hz * time_s
    tone = sum(amplitude * math.sin(phase * multiple) for multiple, amplitude in OVERTONES)
    return attack * release * math.exp(-5.0 * time_s / note.length_s) * tone


def check_wav(file: Path) -> None:
    """Check the header of a WAV file; raises what `read_wav` raises."""
    with wave.open(str(file)) as opened:
        channels, width, file_rate, frames = opened.getparams()[:4]
    if width != 2 or channels not in (1, 2):
        raise ValueError(f"{channels} channels, {width * 8} bit; must be 16 bit, mono or stereo")
    if frames / file_rate > MAX_CHIME_S:
        raise ValueError(f"{frames / file_rate:.0f} s long; must be at most {MAX_CHIME_S:g} s")


def read_wav(file: Path, rate: int) -> bytes:
    """Read a WAV file of 16 bit, mono or stereo, as s16le mono at `rate` Hz.

    Raises:
        ValueError: the width or the channels are others, or it is too long.
        OSError, EOFError, wave.Error: it cannot be read.
    """
    check_wav(file)
    with wave.open(str(file)) as opened:
        channels, _, file_rate, frames = opened.getparams()[:4]
        pcm = opened.readframes(frames)
    if channels == 2:
        samples = array.array("h", pcm)
        pcm = array.array(
            "h", ((a + b) // 2 for a, b in zip(samples[::2], samples[1::2], strict=True))
        ).tobytes()
    return Resampler(file_rate, rate).feed(pcm, last=True)


def _files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.glob("*.wav"))
        if CHIME_NAME.fullmatch(file.stem) and file.is_file() and not file.is_symlink()
    ]
