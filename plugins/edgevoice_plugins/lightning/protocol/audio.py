"""The audio of a reply, in chunks or in one body, and WAV files: written, and read as Lightning sends them.

Lightning's WAV headers are not always right.
"""

from __future__ import annotations

import struct

from edgevoice import TransportError
from edgevoice_plugins.lightning.protocol.reply import preview

#: Sizes in a header that was written before the length was known.
_UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
#: Format tags of PCM: plain and extensible.
_PCM = (1, 0xFFFE)
BYTES_PER_SAMPLE = 2
_OTHER_AUDIO = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"\x1f\x8b": "gzip", b"RF64": "RF64"}


class PcmAssembler:
    """Puts the chunks of one streamed reply together: s16le mono at `rate_hz`, at most `max_s` seconds."""

    def __init__(self, rate_hz: int, max_s: float) -> None:
        self._odd = b""
        self._rate_hz = rate_hz
        self._max_s = max_s
        self._bytes = 0

    @property
    def duration_s(self) -> float:
        """The audio received so far."""
        return self._bytes / BYTES_PER_SAMPLE / self._rate_hz

    def feed(self, chunk: bytes) -> bytes:
        """Return the samples that are whole now; may be empty.

        Raises:
            TransportError: the reply is longer than `max_s`.
        """
        data = self._odd + chunk
        whole = len(data) - len(data) % BYTES_PER_SAMPLE
        self._odd = data[whole:]
        self._bytes += whole
        if self.duration_s > self._max_s:
            raise TransportError(
                f"the server sent more than {self._max_s / 60:.0f} minutes of audio without an end"
            )
        return data[:whole]

    def finish(self) -> None:
        """End the reply; half a sample at the end of others is dropped.

        Raises:
            TransportError: there was not one whole sample.
        """
        if not self._bytes:
            raise TransportError(f"the server sent {len(self._odd) or 'no'} bytes of audio")


def decode_body(body: bytes, *, output_format: str, rate_hz: int) -> bytes:
    """Return the samples (s16le mono) of a body that was requested as `wav` or `pcm` at `rate_hz`.

    The vendor labels every body audio/wav, so only the bytes tell what it is.

    Raises:
        TransportError: the body is no such audio, is empty, or ends within a sample.
    """
    if not body:
        raise TransportError("the server sent an empty reply")
    if looks_like_text(body):
        raise TransportError(f"the server sent text instead of audio: {preview(body)}")
    if body[:4] == b"RIFF" and body[8:12] == b"WAVE":
        pcm = read_wav(body, rate_hz)
    elif output_format == "wav" or any(body.startswith(mark) for mark in _OTHER_AUDIO):
        raise TransportError(f"the server sent {_kind(body)} instead of {output_format}")
    else:
        pcm = body
    if not pcm:
        raise TransportError("the server sent no audio")
    if len(pcm) % BYTES_PER_SAMPLE:
        raise TransportError(f"the server sent an odd number of bytes ({len(pcm)}): audio is missing")
    return pcm


def looks_like_text(body: bytes) -> bool:
    """Whether the body is HTML, XML or JSON; no audio reads as printable text from its first byte on."""
    head = body[:256]
    if head.lstrip()[:1] not in (b"<", b"{", b"["):
        return False
    text = head.decode("utf-8", "ignore")
    # Up to three bytes are missing where the cut at 256 split a character.
    return len(text.encode()) > len(head) - 4 and all(char.isprintable() or char in "\r\n\t" for char in text)


def _kind(body: bytes) -> str:
    kinds = [kind for mark, kind in _OTHER_AUDIO.items() if body.startswith(mark)]
    return kinds[0] if kinds else "audio without a WAV header"


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
