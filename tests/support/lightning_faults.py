"""Faults for requests to the test server, and its record of each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The fault of a request, and its moment.

    It happens after `at` chunks of audio; -1 is before any answer, `math.inf` after all audio. `status`,
    `body` and `headers` are the answer (a WebSocket: an error frame, or with 200 the body as a frame).
    `cut` breaks the connection, `reset` so that data in transit is lost. `close` ends it properly, a
    WebSocket with that code. `silent` sends nothing more. `spoilt` makes a chunk's base64 invalid. `short`
    removes the last byte. `endless` never ends. `make` makes the body of a whole reply from samples and
    rate. `stall` pauses, in seconds. `problem` is an error inside the stream.
    """

    at: float = 0
    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False
    close: int | None = None
    silent: bool = False
    spoilt: bool = False
    short: bool = False
    endless: bool = False
    make: Callable[[bytes, int], bytes] | None = None
    stall: float = 0.0
    problem: str | None = None


NO_FAULT = Fault(at=-2)


@dataclass(kw_only=True, eq=False)
class Asked:
    """A request: a POST, a one-shot message, or a context with its pieces."""

    transport: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    #: The client's port, which identifies the connection.
    peer: int
    pieces: list[str] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    #: Bytes of audio sent so far.
    made: int = 0
    ended: bool = False
    cancelled: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)
