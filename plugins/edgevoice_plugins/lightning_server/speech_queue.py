"""The texts that one WebSocket has yet to speak: in order, with pings while speech is due."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from edgevoice import TransportError
from edgevoice_plugins.lightning.protocol.reply import Chunk, Complete, Problem, Word, write_frame
from edgevoice_plugins.lightning_server.speech import synthesize
from edgevoice_plugins.local_voice.voices import VOICES

if TYPE_CHECKING:
    from aiohttp import web

    from edgevoice_plugins.lightning.protocol.reply import Reply
    from edgevoice_plugins.lightning_server.contexts import Segment
    from edgevoice_plugins.lightning_server.limits import ServerLimits
    from edgevoice_plugins.local_voice.pool import VoicePool


class SpeechQueue:
    """Speaks the segments of one socket in order, and writes all of its frames."""

    def __init__(self, socket: web.WebSocketResponse, voice: VoicePool, limits: ServerLimits) -> None:
        self._socket = socket
        self._voice = voice
        self._limits = limits
        self._session_id = f"ws_{uuid.uuid4().hex}"
        self._waiting: deque[Segment] = deque()
        self._has_work = asyncio.Event()
        self._current: Segment | None = None
        #: When the last frame was sent, on the loop's clock.
        self.last_sent_at = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a segment is being spoken, or waits."""
        return self._has_work.is_set()

    @property
    def is_full(self) -> bool:
        """Whether no further segment may wait."""
        return len(self._waiting) >= self._limits.max_queued

    def enqueue(self, segment: Segment) -> None:
        """Speak a segment after those that wait."""
        self._waiting.append(segment)
        self._has_work.set()

    def cancel(self, context_id: str | None) -> None:
        """Drop the segments of a context, also the one being spoken."""
        self._waiting = deque(
            segment for segment in self._waiting if segment.request.context_id != context_id
        )
        if self._current is not None and self._current.request.context_id == context_id:
            self._current = None

    async def run(self) -> None:
        """Speak what is enqueued, until cancelled.

        Raises:
            ConnectionError: the client is gone, or accepts no data.
        """
        while True:
            await self._has_work.wait()
            pings = asyncio.create_task(self._ping(), name=f"ping {self._session_id}")
            try:
                while self._waiting:
                    await self._speak(self._waiting.popleft())
            finally:
                pings.cancel()
            self._has_work.clear()

    async def send_problem(self, text: str, code: str, message: object) -> None:
        """Report what is wrong with a client's message, or with the connection."""
        given = message if isinstance(message, dict) else {}
        session_id, request_id = given.get("session_id"), given.get("request_id")
        ids = self._new_ids(
            session_id if isinstance(session_id, str) else None,
            request_id if isinstance(request_id, str) else None,
        )
        await self._send(Problem(text, code), ids)

    async def _speak(self, segment: Segment) -> None:
        request = segment.request
        ids = self._new_ids(request.session_id, request.request_id)
        mapping = VOICES.get(request.voice_id)
        words = request.word_timestamps and mapping is not None and mapping.has_word_timestamps
        self._current, has_audio = segment, False
        try:
            async with aclosing(synthesize(self._voice, request, segment.text)) as speech:
                async for part in speech:
                    if self._current is not segment:
                        break
                    if isinstance(part, bytes):
                        has_audio = True
                        await self._send(Chunk(part), ids)
                    elif words:
                        await self._send(Word(part.index, part.word, part.start, part.end), ids)
        except TransportError as error:
            await self._send(Problem(str(error), "INTERNAL_SERVER_ERROR"), ids)
            return
        if has_audio:
            await self._send(Complete(), ids)

    async def _ping(self) -> None:
        while not self._socket.closed:
            await asyncio.sleep(self._limits.ping_s)
            try:
                await self._socket.ping()
            except ConnectionError:
                return  # sending audio meets the same error, and reports it

    async def _send(self, reply: Reply, ids: dict[str, str]) -> None:
        timeout_s = self._limits.send_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._socket.send_str(write_frame(reply, ids))
        except TimeoutError as error:
            raise ConnectionAbortedError(f"the client accepted no data for {timeout_s:.0f} s") from error
        self.last_sent_at = asyncio.get_running_loop().time()

    def _new_ids(self, session_id: str | None, request_id: str | None) -> dict[str, str]:
        """Return the keys that identify the answer to a request; the external ones only if the client sent them."""
        ids = {
            "session_id": self._session_id,
            "request_id": f"task_{uuid.uuid4().hex}",
            "external_session_id": session_id,
            "external_request_id": request_id,
        }
        return {key: value for key, value in ids.items() if value is not None}
