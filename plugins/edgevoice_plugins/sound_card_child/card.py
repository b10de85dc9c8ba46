"""The sound card itself, through PortAudio. Only for the child process."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyaudio

from edgevoice_plugins.sound_card_child.wire import BYTES_PER_FRAME, PERIOD_S

if TYPE_CHECKING:
    from pyaudio import Stream

FILE_HINT = "or write into a file with `output: wav_file`"


class CardLostError(Exception):
    """The card cannot be used, or no longer; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that PortAudio can play on."""

    #: PortAudio's number of the device.
    index: int
    name: str
    channels: int
    #: Default rate in Hz.
    rate: int
    is_default: bool

    def as_json(self) -> dict[str, str | int | bool]:
        """Return the device as `edgevoice devices --json` lists it."""
        return {
            "name": self.name,
            "channels": self.channels,
            "sample_rate": self.rate,
            "default": self.is_default,
        }


def output_devices(audio: pyaudio.PyAudio) -> list[Device]:
    """Return the devices that can play, in PortAudio's order.

    PortAudio looks for devices once for each `PyAudio()`: one that was plugged in later is not listed.
    """
    default_index = None
    with suppress(OSError):
        default_index = audio.get_default_output_device_info()["index"]
    found: list[dict[str, Any]] = [
        dict(audio.get_device_info_by_index(index)) for index in range(audio.get_device_count())
    ]
    return [
        Device(
            index=int(info["index"]),
            name=str(info["name"]),
            channels=int(info["maxOutputChannels"]),
            rate=round(float(info["defaultSampleRate"])),
            is_default=info["index"] == default_index,
        )
        for info in found
        if int(info["maxOutputChannels"]) > 0
    ]


def choose(found: list[Device], wanted: str) -> Device:
    """Return the device named `wanted`, else the first whose name contains it; case does not matter.

    Raises:
        CardLostError: No device matches; the message lists the devices.
    """
    if not found:
        raise CardLostError(
            "there is no sound card, or its sound server is not running: "
            f"check what `edgevoice devices` lists, {FILE_HINT}"
        )
    name = wanted.casefold()
    matches = (
        lambda device: name == "default" and device.is_default,
        lambda device: name == device.name.casefold(),
        lambda device: name in device.name.casefold(),
    )
    for match in matches:
        for device in found:
            if match(device):
                return device
    names = ", ".join(repr(device.name) for device in found)
    raise CardLostError(f"there is no device named {wanted!r}; available: {names}; set `device`, {FILE_HINT}")


class Card:
    """A device. Its stream is opened and closed while PortAudio stays loaded, which takes longer to start."""

    def __init__(self, wanted: str) -> None:
        self._audio = pyaudio.PyAudio()
        self._wanted = wanted
        self._stream: Stream | None = None
        #: Full name of the device; empty until it was opened.
        self.name = ""
        #: Frames that the card holds.
        self.capacity = 0

    @property
    def is_open(self) -> bool:
        return self._stream is not None

    def open(self, rate: int) -> None:
        """Open the card at `rate` Hz; close it first if it is open.

        Raises:
            CardLostError: The card cannot be opened.
        """
        self.close()
        device = choose(output_devices(self._audio), self._wanted)
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
            raise CardLostError(_open_error(device, rate, error)) from error
        self.name = device.name
        self.capacity = self.room()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def room(self) -> int:
        """Return the frames that can be written without blocking.

        Raises:
            CardLostError: The device is gone.
        """
        try:
            frames = self._open_stream().get_write_available()
        except OSError as error:
            raise CardLostError(f"the sound card is lost: {error.args[-1]}") from error
        # PyAudio returns PortAudio's error codes as negative numbers here.
        if frames < 0:
            raise CardLostError(f"the sound card is lost (PortAudio {frames})")
        return frames

    def write(self, pcm: bytes) -> None:
        """Write frames; blocks if there are more than `room()`.

        Raises:
            CardLostError: The device is gone.
        """
        try:
            # With True, PyAudio would close the stream at the first underflow.
            self._open_stream().write(pcm, len(pcm) // BYTES_PER_FRAME, exception_on_underflow=False)
        except OSError as error:
            raise CardLostError(f"the sound card is lost: {error.args[-1]}") from error

    def reset(self) -> None:
        """Drop the frames that the card holds.

        Raises:
            CardLostError: The device is gone.
        """
        try:
            self._open_stream().stop_stream()
            self._open_stream().start_stream()
        except OSError as error:
            raise CardLostError(f"the sound card is lost: {error.args[-1]}") from error

    def _open_stream(self) -> Stream:
        if self._stream is None:
            raise CardLostError("the sound card is not open")
        return self._stream


def _open_error(device: Device, rate: int, error: OSError) -> str:
    text = f"{device.name!r} cannot be opened at {rate} Hz: {error.args[-1]}"
    if rate != device.rate:
        return f"{text}; its own rate is {device.rate} Hz: try `sample_rate: {device.rate}`"
    return text
