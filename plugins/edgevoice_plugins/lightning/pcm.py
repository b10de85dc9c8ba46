"""The audio of a reply: whole samples out of streamed chunks, or out of the body of a whole reply."""

from __future__ import annotations

from edgevoice import TransportError
from edgevoice_plugins.lightning.protocol.reply import WholeSamples, preview
from edgevoice_plugins.lightning.protocol.wav import read_wav

BYTES_PER_SAMPLE = 2
_OTHER_AUDIO = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"\x1f\x8b": "gzip", b"RF64": "RF64"}


class PcmAssembler:
    """Puts the chunks of one streamed reply together: s16le mono at `rate_hz`, at most `max_s` seconds."""

    def __init__(self, rate_hz: int, max_s: float) -> None:
        self._samples = WholeSamples()
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
        whole = self._samples.feed(chunk)
        self._bytes += len(whole)
        if self.duration_s > self._max_s:
            raise TransportError(
                f"the server sent more than {self._max_s / 60:.0f} minutes of audio without an end"
            )
        return whole

    def finish(self) -> None:
        """End the reply; half a sample at the end of others is dropped.

        Raises:
            TransportError: there was not one whole sample.
        """
        if not self._bytes:
            raise TransportError(f"the server sent {len(self._samples.odd) or 'no'} bytes of audio")


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
