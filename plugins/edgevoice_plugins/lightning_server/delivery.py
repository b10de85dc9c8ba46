"""What one socket is owed: texts spoken one after the other, with pings as long as there is something due."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.reply import Chunk, Complete, Ids, Problem, Word, write_frame
from edgevoice_plugins.lightning_server.speech import spoken
from edgevoice_plugins.local_voice.voices import VOICES

if TYPE_CHECKING:
    from aiohttp import web

    from edgevoice_plugins.lightning.protocol.reply import Reply
    from edgevoice_plugins.lightning_server.contexts import Segment
    from edgevoice_plugins.local_voice.pool import VoicePool

PING = 0.2
"""Seconds between pings while something is owed: some clients give up after 0.6 s without a frame."""
SEND_WITHIN = 30.0
"""Seconds a client may take nothing before it is dropped."""
MOST = 1000
"""Texts that may wait on one socket."""


class Delivery:
    """Speaks the segments that one socket is owed, in order, and writes all of its frames."""

    def __init__(self, socket: web.WebSocketResponse, voice: VoicePool) -> None:
        self._socket = socket
        self._voice = voice
        self._session_id = f"ws_{uuid.uuid4().hex}"
        self._owed: deque[Segment] = deque()
        self._work = asyncio.Event()
        self._current: Segment | None = None
        self.active = 0.0
        """When the last frame was sent, on the loop's clock."""

    @property
    def busy(self) -> bool:
        return self._work.is_set()

    @property
    def full(self) -> bool:
        return len(self._owed) >= MOST

    def owe(self, segment: Segment) -> None:
        self._owed.append(segment)
        self._work.set()

    def drop(self, context_id: str | None) -> None:
        """Speak nothing more of a context; what is being said of it stops."""
        self._owed = deque(segment for segment in self._owed if segment.request.context_id != context_id)
        if self._current is not None and self._current.request.context_id == context_id:
            self._current = None

    async def run(self) -> None:
        """Speak what is owed, for ever.

        Raises:
            ConnectionError: the client is gone, or takes nothing any more.
        """
        while True:
            await self._work.wait()
            pings = asyncio.create_task(self._ping(), name=f"ping {self._session_id}")
            try:
                while self._owed:
                    await self._speak(self._owed.popleft())
            finally:
                pings.cancel()
            self._work.clear()

    async def problem(self, text: str, code: str, message: object) -> None:
        """Tell what is wrong with a message, or with the connection."""
        given = message if isinstance(message, dict) else {}
        session_id, request_id = given.get("session_id"), given.get("request_id")
        ids = self._ids(
            session_id if isinstance(session_id, str) else None,
            request_id if isinstance(request_id, str) else None,
        )
        await self._send(Problem(text, code), ids)

    async def _speak(self, segment: Segment) -> None:
        request = segment.request
        ids = self._ids(request.session_id, request.request_id)
        mapping = VOICES.get(request.voice_id)
        words = request.word_timestamps and mapping is not None and mapping.has_word_timestamps
        self._current, begun = segment, False
        try:
            async with aclosing(spoken(self._voice, request, segment.text)) as speech:
                async for part in speech:
                    if self._current is not segment:
                        break
                    if isinstance(part, bytes):
                        begun = True
                        await self._send(Chunk(part), ids)
                    elif words:
                        await self._send(Word(part.index, part.word, part.start, part.end), ids)
        except TransportError as error:
            await self._send(Problem(str(error), "INTERNAL_SERVER_ERROR"), ids)
            return
        if begun:
            await self._send(Complete(), ids)

    async def _ping(self) -> None:
        while not self._socket.closed:
            await asyncio.sleep(PING)
            try:
                await self._socket.ping()
            except ConnectionError:
                return  # whoever sends audio meets the same

    async def _send(self, reply: Reply, ids: Ids) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN):
                await self._socket.send_str(write_frame(reply, ids))
        except TimeoutError as error:
            raise ConnectionAbortedError(f"the client took nothing for {SEND_WITHIN:.0f} s") from error
        self.active = asyncio.get_running_loop().time()

    def _ids(self, session_id: str | None, request_id: str | None) -> Ids:
        return Ids(
            session_id=self._session_id,
            request_id=f"task_{uuid.uuid4().hex}",
            external_session_id=session_id,
            external_request_id=request_id,
        )
