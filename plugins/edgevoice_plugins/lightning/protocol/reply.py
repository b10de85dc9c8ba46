"""Lightning's replies, written by the server and read by the transports; no sockets.

The vendor's frames carry s16le mono audio as base64 (API reference, sections on SSE and WebSocket).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from edgevoice import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio as it arrived; a sample may be split between two chunks."""

    pcm: bytes
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """When a word is spoken, in seconds from the start of its request's audio."""

    index: int
    word: str
    start: float
    end: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """The end of the audio of one request, or of one segment of a context."""

    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An error that the server reports inside a stream."""

    message: str
    code: str | None = None

    @property
    def is_idle_timeout(self) -> bool:
        """Whether the server closes a WebSocket because it was idle: no answer to the current request."""
        return "inactivity" in self.message


Reply: TypeAlias = Chunk | Word | Complete | Problem


# ---- written by the server -------------------------------------------------------------------------


def write_frame(reply: Reply, ids: Mapping[str, str]) -> str:
    """Return a reply as a WebSocket text frame with the keys `ids`."""
    frame: dict[str, Any] = {**ids}
    match reply:
        case Chunk(pcm=pcm):
            frame |= {"status": "chunk", "data": {"audio": base64.b64encode(pcm).decode()}}
        case Word(index=index, word=word, start=start, end=end):
            frame |= {
                "status": "word_timestamp",
                "data": {"id": index, "word": word, "start": start, "end": end},
            }
        case Complete():
            frame |= {"status": "complete"}
        case Problem(message=message, code=code):
            # Some clients read `message`, others `error`.
            frame |= {"status": "error", "message": message, "error": {"message": message, "code": code}}
    return msgspec.json.encode(frame).decode()


def write_event(pcm: bytes) -> bytes:
    """Return audio as a server-sent event."""
    data = msgspec.json.encode({"audio": base64.b64encode(pcm).decode(), "done": False, "status": "206"})
    return b"event: audio\ndata: " + data + b"\n\n"


def write_failed_event(message: str) -> bytes:
    """Return an error as the last event of a stream of server-sent events."""
    data = msgspec.json.encode(
        {"status": "error", "done": False, "message": message, "error": {"message": message}}
    )
    return b"data: " + data + b"\n\n"


#: The terminator of an SSE reply: a data line without an event line.
FINAL_EVENT = b'data: {"status":"200","done":true}\n\n'


# ---- read by the transports ------------------------------------------------------------------------


def read_frame(text: str | bytes) -> Reply | None:
    """Read a WebSocket text frame; None for an unknown status.

    Raises:
        TransportError: the frame is no JSON object, or its audio is not base64.
    """
    frame = _object(text, "frame")
    request_id = frame.get("request_id")
    request_id = request_id if isinstance(request_id, str) else None
    data = frame.get("data")
    data = data if isinstance(data, dict) else {}
    match frame.get("status"):
        case "chunk":
            return Chunk(_audio(data.get("audio")), request_id)
        case "word_timestamp":
            return _word(data, request_id)
        case "complete":
            return Complete(request_id)
        case "error":
            return _problem(frame)
    return None


def read_event(data: bytes) -> Reply | None:
    """Read the data of one server-sent event; `Complete` is its terminator.

    Raises:
        TransportError: the event is no JSON object, or its audio is not base64.
    """
    event = _object(data, "event")
    if event.get("done") is True:
        return Complete()
    if "audio" in event:
        return Chunk(_audio(event["audio"]))
    if event.get("error") or event.get("status") == "error":
        return _problem(event)
    return None


class EventReader:
    """Cuts a byte stream into the data of server-sent events, however the stream is split."""

    def __init__(self, max_bytes: int = 8 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._buffer = b""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of each event that is complete now.

        Raises:
            TransportError: an event is larger than `max_bytes`.
        """
        self._buffer += piece
        # A lone CR at the end may be the first half of CRLF: it waits.
        *lines, self._buffer = self._buffer.replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if not line and self._data:
                yield b"\n".join(self._data)
                self._data, self._data_bytes = [], 0
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._data_bytes += len(line)
        if self._data_bytes + len(self._buffer) > self._max_bytes:
            raise TransportError(f"the server sent an event of more than {self._max_bytes} bytes")


def _object(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TransportError(f"the server sent a {what} that is not JSON: {preview(text)}") from error
    if not isinstance(value, dict):
        raise TransportError(f"the server sent a {what} that is not a JSON object: {preview(text)}")
    return value


def _audio(text: object) -> bytes:
    if not isinstance(text, str):
        raise TransportError("the server sent a chunk without audio")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TransportError("the server sent audio that is not base64") from error


def _word(data: dict[str, Any], request_id: str | None) -> Word | None:
    try:
        return Word(int(data["id"]), str(data["word"]), float(data["start"]), float(data["end"]), request_id)
    except (KeyError, TypeError, ValueError):
        return None  # a timestamp is a hint; the audio continues without it


def _problem(frame: dict[str, Any]) -> Problem:
    error = frame.get("error")
    detail = error if isinstance(error, dict) else {"message": error}
    message = frame.get("message") or detail.get("message") or "unknown error"
    code = detail.get("code") or frame.get("error_code")
    return Problem(str(message)[:200], None if code is None else str(code))


def preview(text: str | bytes) -> str:
    """Return the first characters of what a server sent, safe to show."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return "".join(char if char.isprintable() else " " for char in shown[:80]).strip()
