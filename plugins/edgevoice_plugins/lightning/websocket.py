"""The transport `websocket`: a line that stays open, for urgent speech and for live text."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgevoice.hookspecs import hookimpl
from edgevoice_plugins.lightning.ahead import OpensAhead
from edgevoice_plugins.lightning.protocol.request import speech_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice.hookspecs import Registry
    from edgevoice.plugin import SpeechRequest
    from edgevoice_plugins.lightning.line import Line
    from edgevoice_plugins.lightning.spares import Spares


class WebSocketTransport(OpensAhead["Line"]):
    """Speech over a line that was opened ahead; it takes text that is still arriving."""

    work = "edgevoice_plugins.lightning.answer"
    accepts_text_stream = True

    def make_spares(self) -> Spares[Line]:
        from edgevoice_plugins.lightning.line import dial  # noqa: PLC0415 - brings aiohttp
        from edgevoice_plugins.lightning.spares import Spares  # noqa: PLC0415 - with it

        return Spares("line", partial(dial, self.endpoint), most=self.endpoint.concurrency)

    def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning.answer import answer  # noqa: PLC0415 - brings aiohttp

        body = speech_body(self.config, request)
        if request.text_stream is None:
            body["word_timestamps"] = True  # only some voices give them; the others take no notice
        return answer(self.spares, request, body)


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.transport("websocket", WebSocketTransport)
