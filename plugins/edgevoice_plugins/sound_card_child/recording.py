"""Writes what an input device hears to standard output."""

from __future__ import annotations

import sys
from typing import NoReturn

import pyaudio

from edgevoice_plugins.sound_card_child.card import CardLost, choose, inputs
from edgevoice_plugins.sound_card_child.wire import PERIOD_S


def record(wanted: str, rate: int) -> NoReturn:
    """Write s16le mono at `rate` Hz for ever.

    Raises:
        CardLost: there is no such device, or it cannot be read.
    """
    audio = pyaudio.PyAudio()
    found = inputs(audio)
    if not found:
        raise CardLost("there is no microphone")
    device = choose(found, wanted)
    frames = round(rate * PERIOD_S)
    try:
        stream = audio.open(
            rate, 1, pyaudio.paInt16, input=True, input_device_index=device.index, frames_per_buffer=frames
        )
        while True:
            sys.stdout.buffer.write(stream.read(frames, exception_on_overflow=False))
            sys.stdout.buffer.flush()
    except OSError as error:
        raise CardLost(f"{device.name!r} cannot be read: {error.args[-1]}") from error
