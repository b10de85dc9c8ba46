"""The sound card itself, by PortAudio: which ones there are, open, write, reset. Only for the child process."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyaudio

from edgevoice_plugins.sound_card_child.wire import BYTES_PER_FRAME, PERIOD_S

if TYPE_CHECKING:
    from pyaudio import Stream

USE_A_FILE = "or write into a file with `output: wav_file`"


class CardLost(Exception):
    """The card cannot be used (any more), and why."""


@dataclass(frozen=True, slots=True)
class Device:
    """Something PortAudio can play on; `rate` in Hz is its default."""

    index: int
    name: str
    channels: int
    rate: int
    is_default: bool

    def described(self) -> dict[str, str | int | bool]:
        """As `edgevoice devices --json` lists it."""
        return {
            "name": self.name,
            "channels": self.channels,
            "sample_rate": self.rate,
            "default": self.is_default,
        }


def devices(audio: pyaudio.PyAudio) -> list[Device]:
    """The devices that can play, in PortAudio's order; it lists them once for each `PyAudio()`."""
    default = None
    with suppress(OSError):
        default = audio.get_default_output_device_info()["index"]
    found = [audio.get_device_info_by_index(index) for index in range(audio.get_device_count())]
    return [
        Device(
            index=int(one["index"]),
            name=str(one["name"]),
            channels=int(one["maxOutputChannels"]),
            rate=round(float(one["defaultSampleRate"])),
            is_default=one["index"] == default,
        )
        for one in found
        if int(one["maxOutputChannels"]) > 0
    ]


def choose(found: list[Device], wanted: str) -> Device:
    """The device called `wanted`, else the first whose name contains it; in any case of letters.

    Raises:
        CardLost: there is none, with those that there are.
    """
    if not found:
        raise CardLost(
            "there is no sound card, or its sound server is not running: "
            f"see what `edgevoice devices` lists, {USE_A_FILE}"
        )
    name = wanted.casefold()
    tests = (
        lambda device: name == "default" and device.is_default,
        lambda device: name == device.name.casefold(),
        lambda device: name in device.name.casefold(),
    )
    for test in tests:
        for device in found:
            if test(device):
                return device
    there = ", ".join(repr(device.name) for device in found)
    raise CardLost(f"there is no device named {wanted!r}; there are {there}: set `device`, {USE_A_FILE}")


class Card:
    """One device, whose stream is opened and closed while PortAudio stays: to make that again takes longer."""

    def __init__(self, wanted: str) -> None:
        self._audio = pyaudio.PyAudio()
        self._wanted = wanted
        self._stream: Stream | None = None
        self.name = ""
        self.rate = 0
        self.capacity = 0
        """Frames that the card holds."""

    @property
    def is_open(self) -> bool:
        return self._stream is not None

    def open(self, rate: int) -> None:
        """Open it at `rate` Hz, unless it is.

        Raises:
            CardLost: it cannot be.
        """
        if self.is_open and self.rate == rate:
            return
        self.close()
        device = choose(devices(self._audio), self._wanted)
        try:
            self._stream = self._audio.open(
                rate,
                1,
                pyaudio.paInt16,
                output=True,
                output_device_index=device.index,
                frames_per_buffer=round(rate * PERIOD_S),
            )
        except OSError as error:
            raise CardLost(_refusal(device, rate, error)) from error
        self.name, self.rate = device.name, rate
        self.capacity = self.room()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def room(self) -> int:
        """Frames that can be written without waiting.

        Raises:
            CardLost: the device is gone.
        """
        try:
            frames = self._opened().get_write_available()
        except OSError as error:
            raise CardLost(f"the sound card is lost: {error.args[-1]}") from error
        # PyAudio hands PortAudio's errors on as a number here.
        if frames < 0:
            raise CardLost(f"the sound card is lost (PortAudio {frames})")
        return frames

    def write(self, pcm: bytes) -> None:
        """Write so many frames as there is room for.

        Raises:
            CardLost: the device is gone.
        """
        try:
            # True would close the stream at the first underflow.
            self._opened().write(pcm, len(pcm) // BYTES_PER_FRAME, exception_on_underflow=False)
        except OSError as error:
            raise CardLost(f"the sound card is lost: {error.args[-1]}") from error

    def reset(self) -> None:
        """Drop what it holds and be ready for more.

        Raises:
            CardLost: the device is gone.
        """
        try:
            self._opened().stop_stream()
            self._opened().start_stream()
        except OSError as error:
            raise CardLost(f"the sound card is lost: {error.args[-1]}") from error

    def _opened(self) -> Stream:
        if self._stream is None:
            raise CardLost("the sound card is not open")
        return self._stream


def _refusal(device: Device, rate: int, error: OSError) -> str:
    text = f"{device.name!r} cannot be opened at {rate} Hz: {error.args[-1]}"
    if rate != device.rate:
        return f"{text}; its own rate is {device.rate} Hz: try `sample_rate: {device.rate}`"
    return text
