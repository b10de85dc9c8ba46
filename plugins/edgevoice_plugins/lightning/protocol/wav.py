"""WAV files: written, and read as Lightning sends them, whose headers are not always true."""

from __future__ import annotations

import struct

from edgevoice import TransportError

#: Sizes in a header that was written before the length was known.
_UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
#: Format tags of PCM: plain and extensible.
_PCM = (1, 0xFFFE)


def write_wav(pcm: bytes, rate: int) -> bytes:
    """Return a WAV file of s16le mono at `rate` Hz."""
    header = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(pcm)) + header + b"data" + struct.pack("<I", len(pcm)) + pcm


def read_wav(body: bytes, rate: int) -> bytes:
    """Return the samples of a WAV file of s16le mono at `rate` Hz, whatever its header says about sizes.

    Raises:
        TransportError: the file has another rate, sample width or number of channels, or no audio.
    """
    position, format_seen = 12, False
    while position + 8 <= len(body):
        name, size = struct.unpack_from("<4sI", body, position)
        position += 8
        if name == b"data":
            if not format_seen:
                raise TransportError("the server sent a WAV file without a format")
            return _data(body, position, size)
        if name == b"fmt ":
            _check_format(body[position : position + size], rate)
            format_seen = True
        position += size + (size & 1)
    raise TransportError("the server sent a WAV file without audio")


def _data(body: bytes, start: int, size: int) -> bytes:
    end = start + size
    if size in _UNKNOWN_SIZES or end >= len(body) or not _is_chunk(body, end + (size & 1)):
        return body[start:]
    return body[start:end]


def _is_chunk(body: bytes, position: int) -> bool:
    """Whether another chunk begins here; if not, the size of the data was wrong and the audio goes on."""
    if position + 8 > len(body):
        return position == len(body)
    name, size = struct.unpack_from("<4sI", body, position)
    return bool(name.isascii() and name.strip().isalnum()) and position + 8 + size <= len(body)


def _check_format(fields: bytes, rate: int) -> None:
    if len(fields) < 16:
        raise TransportError("the server sent a WAV file with a broken format")
    tag, channels, given, _, _, bits = struct.unpack_from("<HHIIHH", fields)
    if tag not in _PCM:
        raise TransportError(f"the server sent a WAV file of format {tag}; asked for PCM")
    if (channels, bits) != (1, 16):
        raise TransportError(
            f"the server sent a WAV file of {channels} channels, {bits} bit; asked for mono, 16"
        )
    if given != rate:
        raise TransportError(f"the server sent a WAV file of {given} Hz; asked for {rate}")
