"""The timeouts and sizes that the Lightning transports hold a server to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a connection; tests pass shorter ones."""

    #: Wait for the first audio of a request. The core gives up sooner where another transport is left.
    first_audio_s: float = 60.0
    #: Wait for the next audio of a request whose audio has begun.
    stall_s: float = 10.0
    #: Audio of one reply. A server that sends more never ends.
    max_audio_s: float = 65 * 60
    #: Body of one whole reply: three minutes at 44100 Hz.
    max_body_bytes: int = 16 * 1024 * 1024

    #: Silence after which a text stream counts as spoken: the protocol has no frame that says so.
    quiet_s: float = 0.6
    #: The same while the audio is shorter than the text: another segment may still come.
    quiet_if_short_s: float = 2.0

    #: Answer to a WebSocket upgrade.
    upgrade_s: float = 5.0
    #: Interval of WebSocket pings. A connection whose server does not answer within half of it is lost.
    heartbeat_s: float = 25.0

    #: Delay of the first connection after the daemon is ready: importing aiohttp takes a tenth of a second.
    start_delay_s: float = 1.0
    #: Idle time after which a close is the server's idle limit; a connection closed sooner was never good.
    settled_s: float = 3.0
    #: Delay before a connection that could not be opened is tried again, doubled up to `max_retry_s`.
    retry_s: float = 0.5
    max_retry_s: float = 60.0
