"""A client's end of a Lightning WebSocket, for tests that talk to the local server."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIVE = "/waves/v1/tts/live"


@dataclass
class Heard:
    """The received frames in order, and their content."""

    frames: list[dict[str, Any]] = field(default_factory=list)

    def of(self, status: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["status"] == status]

    @property
    def chunks(self) -> list[bytes]:
        return [base64.b64decode(frame["data"]["audio"], validate=True) for frame in self.of("chunk")]

    @property
    def pcm(self) -> bytes:
        return b"".join(self.chunks)

    def seconds(self, rate: int = 24000) -> float:
        return len(self.pcm) / 2 / rate

    @property
    def statuses(self) -> list[str]:
        """The statuses in their order, runs of the same one as one."""
        found: list[str] = []
        for frame in self.frames:
            if found[-1:] != [frame["status"]]:
                found.append(frame["status"])
        return found


class Client:
    """Sends messages, with a voice and 24 kHz unless they say otherwise, and collects the frames."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, text: str | None = None, **keys: Any) -> None:
        message = {"voice_id": "magnus", "sample_rate": 24000, **keys}
        await self.socket.send_json(message if text is None else {"text": text, **message})

    async def frame(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        frame: dict[str, Any] = json.loads(message.data)
        return frame

    async def until(self, status: str, times: int = 1) -> Heard:
        """All frames up to the `times`-th one of this status."""
        heard = Heard()
        while len(heard.of(status)) < times:
            heard.frames.append(await self.frame())
        return heard

    async def silence(self, seconds: float = 0.4) -> None:
        """Nothing comes for so long."""
        try:
            async with asyncio.timeout(seconds):
                message = await self.socket.receive()
        except TimeoutError:
            return
        raise AssertionError(f"there came {message}")


@asynccontextmanager
async def connected(url: str, path: str = LIVE, **keys: Any) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session, session.ws_connect(url + path, **keys) as socket:
        yield Client(socket)
