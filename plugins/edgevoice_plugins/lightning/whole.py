"""Whether the body of a whole reply is speech, and the samples of it."""

from __future__ import annotations

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.reply import preview
from edgevoice_plugins.lightning.protocol.wav import read_wav

_OTHER_AUDIO = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"\x1f\x8b": "gzip", b"RF64": "RF64"}


def speech_of(body: bytes, *, asked: str, rate: int) -> bytes:
    """The samples in a body that was asked for as `wav` or `pcm` at `rate` Hz: s16le mono.

    The vendor calls every body audio/wav, so what it is can only be seen from its bytes.

    Raises:
        TransportError: it is no such speech, is empty, or ends within a sample.
    """
    if not body:
        raise TransportError("the server sent an empty reply")
    if is_text(body):
        raise TransportError(f"the server sent text in place of audio: {preview(body)}")
    if body[:4] == b"RIFF" and body[8:12] == b"WAVE":
        pcm = read_wav(body, rate)
    elif asked == "wav" or any(body.startswith(mark) for mark in _OTHER_AUDIO):
        raise TransportError(f"the server sent {_kind(body)}; asked for {asked}")
    else:
        pcm = body
    if not pcm:
        raise TransportError("the server sent no audio")
    if len(pcm) % 2:
        raise TransportError(f"the server sent an odd number of bytes ({len(pcm)}): audio is missing")
    return pcm


def is_text(body: bytes) -> bool:
    """Whether this is HTML, XML or JSON; no audio reads as printable text from its first byte on."""
    head = body[:256]
    if head.lstrip()[:1] not in (b"<", b"{", b"["):
        return False
    # A character that the cut split is not held against it.
    text = head.decode("utf-8", "ignore")
    return len(text.encode()) > len(head) - 4 and all(char.isprintable() or char in "\r\n\t" for char in text)


def _kind(body: bytes) -> str:
    kinds = [kind for mark, kind in _OTHER_AUDIO.items() if body.startswith(mark)]
    return kinds[0] if kinds else "audio without a WAV header"
