"""TLS to servers that are spoken to again and again: each connection resumes the session of the one before."""

from __future__ import annotations

import ssl


class SessionResumingContext(ssl.SSLContext):
    """A client's context that verifies certificates, and is spared most of a handshake it had before.

    asyncio hands no session on, so that is done here, where it wraps each connection. TLS 1.3 sends its
    tickets after the handshake: the newest connection is asked for its session as late as can be.
    """

    def __new__(cls) -> SessionResumingContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self) -> None:
        self.set_alpn_protocols(["http/1.1"])
        self._trusts = False
        self._newest: dict[str | None, ssl.SSLObject] = {}
        self._sessions: dict[str | None, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        if not self._trusts:
            self.load_default_certs()  # a megabyte and 20 ms that a server without TLS does not need
            self._trusts = True
        name = server_hostname.decode() if isinstance(server_hostname, bytes) else server_hostname
        if newest := _resumable(self._newest.get(name)):
            self._sessions[name] = newest
        session = session or self._sessions.get(name)
        connection = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        self._newest[name] = connection
        return connection


def _resumable(connection: ssl.SSLObject | None) -> ssl.SSLSession | None:
    """The session of a connection, if it got as far as to have one that another can resume."""
    session = connection.session if connection else None
    if connection is None or session is None:
        return None
    return session if session.has_ticket or connection.version() != "TLSv1.3" else None
