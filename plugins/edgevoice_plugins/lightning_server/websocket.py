"""Speech over one WebSocket: its messages are read while what they asked for is spoken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web

from edgevoice_plugins.lightning.protocol.request import BadRequestError, RetiredModelError
from edgevoice_plugins.lightning_server.contexts import Cancelled, Conversation
from edgevoice_plugins.lightning_server.delivery import MOST, Delivery
from edgevoice_plugins.lightning_server.http import LONGEST_BODY, decoded

if TYPE_CHECKING:
    from edgevoice_plugins.local_voice.pool import VoicePool

IDLE = 60
"""Seconds without a message or an answer, unless the URL says `?timeout=N`."""
CLOSE_WITHIN = 2.0
"""Seconds a client has to agree to a close."""


class SpeechSocket:
    """One client's socket. `model` is what the URL says of it, if it does."""

    def __init__(self, voice: VoicePool, *, max_chars: int, idle: int, model: str | None) -> None:
        self._idle = idle
        self._model = model
        self._clock = asyncio.get_running_loop().time
        self._active = self._clock()
        # Clients offer compression; on audio it costs much and gains nothing.
        self._socket = web.WebSocketResponse(
            compress=False, max_msg_size=LONGEST_BODY, timeout=CLOSE_WITHIN, decode_text=False
        )
        self._conversation = Conversation(max_chars, self._clock)
        self._delivery = Delivery(self._socket, voice)

    async def run(self, http: web.Request) -> web.WebSocketResponse:
        """Serve the socket until either side closes it."""
        await self._socket.prepare(http)
        try:
            async with asyncio.TaskGroup() as tasks:
                delivery = tasks.create_task(self._delivery.run())
                await self._read()
                delivery.cancel()
        except* ConnectionError:
            if http.transport is not None:
                http.transport.abort()
        await self._socket.close()
        return self._socket

    async def close(self) -> None:
        """Close it because the server ends."""
        await self._socket.close(code=1001, message=b"the server ends")

    async def _read(self) -> None:
        while True:
            try:
                async with asyncio.timeout_at(self._wakes()):
                    message = await self._socket.receive()
            except TimeoutError:
                if self._clock() >= self._idle_until():
                    text = f"Connection timed out after {self._idle} seconds of inactivity"
                    await self._delivery.problem(text, "TIMEOUT", None)
                    return
                for segment in self._conversation.overdue():
                    self._delivery.owe(segment)
                continue
            self._active = self._clock()
            if message.type not in {web.WSMsgType.TEXT, web.WSMsgType.BINARY}:
                return
            await self._take(message.data)

    def _wakes(self) -> float:
        """When there is something to do without a message."""
        idle_until = self._idle_until()
        return min(idle_until, self._conversation.due or idle_until)

    def _idle_until(self) -> float:
        since = self._clock() if self._delivery.busy else max(self._active, self._delivery.active)
        return since + self._idle

    async def _take(self, data: bytes) -> None:
        message: Any = None
        if self._delivery.full:
            text = f"more than {MOST} texts wait on this connection; wait for some to complete"
            await self._delivery.problem(text, "TOO_MANY_REQUESTS", None)
            return
        try:
            message = decoded(data)
            if isinstance(message, dict) and self._model is not None:
                message.setdefault("model", self._model)
            for task in self._conversation.take(message):
                if isinstance(task, Cancelled):
                    self._delivery.drop(task.context_id)
                else:
                    self._delivery.owe(task)
        except RetiredModelError as error:
            await self._delivery.problem(str(error), "MODEL_DEPRECATED", message)
        except BadRequestError as error:
            await self._delivery.problem(str(error), "INVALID_REQUEST", message)
