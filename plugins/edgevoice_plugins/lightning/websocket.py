"""The transport `websocket`: a line that stays open, for urgent speech and for live text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from edgevoice.hookspecs import hookimpl
from edgevoice.plugin import Transport
from edgevoice_plugins.lightning.protocol.request import speech_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    import msgspec

    from edgevoice.hookspecs import Register
    from edgevoice.plugin import Context, SpeechRequest


class WebSocketTransport(Transport):
    """Speech over a line that was opened ahead; it takes text that is still arriving."""

    takes_pieces = True

    def __init__(self, context: Context, _options: msgspec.Struct) -> None:
        self._context = context

    async def __aenter__(self) -> Self:
        from edgevoice_plugins.lightning.lines import Lines  # noqa: PLC0415 - brings aiohttp

        self._lines = Lines(self._context)
        self._lines.open_ahead()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lines.close()

    def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        from edgevoice_plugins.lightning.answer import answer  # noqa: PLC0415 - brings aiohttp

        body = speech_body(self._context.lightning, request)
        if request.pieces is None:
            body["word_timestamps"] = True  # only some voices give them; the others take no notice
        return answer(self._lines, request, body)


@hookimpl
def edgevoice_register(register: Register) -> None:
    register.transport("websocket", WebSocketTransport)
