"""Failures of a connection, as errors of the transport."""

from __future__ import annotations

from edgevoice import TransportError


class ConnectionLostError(TransportError):
    """The WebSocket was closed or broke; the request on it will not be answered."""


def connection_error(error: Exception, root: str) -> TransportError:
    """Return the error for a connection to `root` that failed; its text never holds the key."""
    import aiohttp  # noqa: PLC0415 - slow to import

    match error:
        case aiohttp.TooManyRedirects():
            problem = (
                f"{root} answers {error.status}: {error.message}; set lightning.base_url to the right address"
            )
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            problem = f"no trusted TLS connection to {root}: {error}"
        case aiohttp.ClientConnectorError():
            problem = f"cannot reach {root}: {error.os_error.strerror or error.os_error}"
        case TimeoutError():
            problem = f"{root} does not answer in time"
        case _:
            problem = f"the connection to {root} broke: {error or type(error).__name__}"
    return TransportError(problem)
