"""Speech over one WebSocket: messages are read while earlier ones are spoken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web

from edgevoice_plugins.lightning.protocol.request import BadRequestError, RetiredModelError
from edgevoice_plugins.lightning_server.contexts import Cancelled, TextContexts
from edgevoice_plugins.lightning_server.http import decode_json
from edgevoice_plugins.lightning_server.limits import MAX_MESSAGE_BYTES
from edgevoice_plugins.lightning_server.speech_queue import SpeechQueue

if TYPE_CHECKING:
    from edgevoice_plugins.lightning_server.limits import ServerLimits
    from edgevoice_plugins.local_voice.pool import VoicePool

#: Seconds without a message or an answer, unless the URL says `?timeout=N`.
IDLE_TIMEOUT_S = 60
#: Seconds that a client has to answer a close.
CLOSE_TIMEOUT_S = 2.0


class SpeechSocket:
    """The WebSocket of one client. `model` is the model in its URL, if there is one."""

    def __init__(
        self, voice: VoicePool, limits: ServerLimits, *, idle_timeout_s: int, model: str | None
    ) -> None:
        self._limits = limits
        self._idle_timeout_s = idle_timeout_s
        self._model = model
        self._clock = asyncio.get_running_loop().time
        self._last_message_at = self._clock()
        # Clients offer compression; on audio it costs much and gains nothing.
        self._socket = web.WebSocketResponse(
            compress=False, max_msg_size=MAX_MESSAGE_BYTES, timeout=CLOSE_TIMEOUT_S, decode_text=False
        )
        self._contexts = TextContexts(limits.max_chars, self._clock)
        self._queue = SpeechQueue(self._socket, voice, limits)

    async def run(self, http: web.Request) -> web.WebSocketResponse:
        """Serve the socket until either side closes it."""
        await self._socket.prepare(http)
        try:
            async with asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(self._queue.run())
                await self._read()
                speaking.cancel()
        except* ConnectionError:
            if http.transport is not None:
                http.transport.abort()
        await self._socket.close()
        return self._socket

    async def close(self) -> None:
        """Close the socket because the server ends."""
        await self._socket.close(code=1001, message=b"the server ends")

    async def _read(self) -> None:
        while True:
            try:
                async with asyncio.timeout_at(self._wakes_at()):
                    message = await self._socket.receive()
            except TimeoutError:
                if self._clock() >= self._idle_until():
                    text = f"Connection timed out after {self._idle_timeout_s} seconds of inactivity"
                    await self._queue.send_problem(text, "TIMEOUT", None)
                    return
                for segment in self._contexts.overdue():
                    self._queue.enqueue(segment)
                continue
            self._last_message_at = self._clock()
            if message.type not in {web.WSMsgType.TEXT, web.WSMsgType.BINARY}:
                return
            await self._on_message(message.data)

    def _wakes_at(self) -> float:
        idle_until = self._idle_until()
        return min(idle_until, self._contexts.due_at or idle_until)

    def _idle_until(self) -> float:
        since = self._clock() if self._queue.is_busy else max(self._last_message_at, self._queue.last_sent_at)
        return since + self._idle_timeout_s

    async def _on_message(self, data: bytes) -> None:
        message: Any = None
        if self._queue.is_full:
            text = f"{self._limits.max_queued} texts wait on this connection; wait for some to complete"
            await self._queue.send_problem(text, "TOO_MANY_REQUESTS", None)
            return
        try:
            message = decode_json(data)
            if isinstance(message, dict) and self._model is not None:
                message.setdefault("model", self._model)
            for action in self._contexts.handle(message):
                if isinstance(action, Cancelled):
                    self._queue.cancel(action.context_id)
                else:
                    self._queue.enqueue(action)
        except RetiredModelError as error:
            await self._queue.send_problem(str(error), "MODEL_DEPRECATED", message)
        except BadRequestError as error:
            await self._queue.send_problem(str(error), "INVALID_REQUEST", message)
