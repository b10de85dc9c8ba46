"""The library espeak-ng, bound with ctypes; loaded only in a child process.

Its state is global: two syntheses at once crash the process.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import espeakng_loader

if TYPE_CHECKING:
    from collections.abc import Callable

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: espeak_Synth calls back until all audio is made
_NO_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
_UTF8 = 1
_END_PAUSE = 0x1000
_RATE = 1
_WORD = 1
#: espeak-ng cuts a longer path off.
_MAX_PATH_BYTES = 159
#: Control characters except the newline become blanks, which keeps all offsets; a NUL would end the text.
_BLANKED = dict.fromkeys((*range(10), *range(11, 32), *range(127, 160)), " ")


class _Event(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class EspeakError(Exception):
    """The library cannot be loaded, or reports an error."""


class Espeak:
    """The library, loaded and initialized."""

    def __init__(self) -> None:
        data = espeakng_loader.get_data_path()
        if len(data.encode()) > _MAX_PATH_BYTES:
            raise EspeakError(
                f"espeak-ng cannot read data whose path is longer than {_MAX_PATH_BYTES} bytes: {data}"
            )
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        ]
        #: Rate in Hz of its audio.
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _NO_EXIT)
        if self.rate <= 0:
            raise EspeakError(f"espeak-ng cannot use its data in {data} (error {self.rate})")

    def speak(
        self,
        text: str,
        voice: str,
        words_per_minute: int,
        audio: Callable[[bytes], bool],
        word: Callable[[int, float], None],
    ) -> None:
        """Call `audio` with s16le mono at `rate` until it returns False, and `word` with a character offset and seconds.

        Raises:
            EspeakError: the voice does not exist, or the library failed.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise EspeakError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        callback = _Callback(_make_callback(audio, word))
        self._library.espeak_SetSynthCallback(callback)
        # White space at the end means that more text follows, so the pause after the sentence is spoken too.
        flags = _UTF8 | (_END_PAUSE if text[-1:].isspace() else 0)
        data = text.translate(_BLANKED).encode("utf-8", "replace")
        error = self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, flags, None, None)
        self._library.espeak_Synchronize()
        if error:
            raise EspeakError(f"espeak-ng failed (error {error})")


def _make_callback(
    audio: Callable[[bytes], bool], word: Callable[[int, float], None]
) -> Callable[[int | None, int, ctypes._Pointer[_Event]], int]:
    def called(samples: int | None, count: int, events: ctypes._Pointer[_Event]) -> int:
        index = 0
        while events and events[index].kind:
            if events[index].kind == _WORD:
                word(events[index].position - 1, events[index].milliseconds / 1000)
            index += 1
        if not samples or not count:
            return 0
        return 0 if audio(ctypes.string_at(samples, count * 2)) else 1

    return called
