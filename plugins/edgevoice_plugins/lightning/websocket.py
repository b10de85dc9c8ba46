"""The transport `websocket`: a connection that stays open, for urgent speech and for live text."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from edgevoice import hookimpl
from edgevoice_plugins.lightning.protocol.request import speech_body
from edgevoice_plugins.lightning.transport import WarmTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import Registry, SpeechRequest
    from edgevoice_plugins.lightning.pool import ConnectionPool


class WebSocketTransport(WarmTransport["ConnectionPool"]):
    """Speech over a WebSocket that was opened ahead; takes text that is still arriving."""

    heavy_module = "edgevoice_plugins.lightning.ws_exchange"
    accepts_text_stream: ClassVar[bool] = True

    def make_connection(self) -> ConnectionPool:
        from edgevoice import open_http_session  # noqa: PLC0415 - imports aiohttp
        from edgevoice_plugins.lightning.pool import ConnectionPool  # noqa: PLC0415
        from edgevoice_plugins.lightning.ws_connection import connect  # noqa: PLC0415

        # A session of its own: in the shared one an upgrade would take the idle HTTP connection.
        session = open_http_session()
        return ConnectionPool(session, partial(connect, session, self.endpoint, self.limits), self.limits)

    def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning.ws_exchange import synthesize  # noqa: PLC0415 - imports aiohttp

        body = speech_body(self.lightning, request)
        if request.text_stream is None:
            body["word_timestamps"] = True  # only some voices give them; the others ignore the key
        return synthesize(self.connection, request, body, self.limits)


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("websocket", WebSocketTransport)
