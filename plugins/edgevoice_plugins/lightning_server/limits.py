"""The limits of the local Lightning server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Sizes and timeouts; tests pass smaller ones."""

    #: Characters of one request.
    max_chars: int = 8000
    #: Texts that wait on one WebSocket.
    max_queued: int = 1000
    #: Time that a client may accept no data before it is dropped.
    send_timeout_s: float = 30.0
    #: Interval of pings while speech is due: some clients give up after 0.6 s without a frame.
    ping_s: float = 0.2


#: Bytes of the body of a request, or of a frame.
MAX_MESSAGE_BYTES = 64 * 1024
