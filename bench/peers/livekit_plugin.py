"""LiveKit's plugin for Smallest AI without the rest of LiveKit: its WebSocket, played by PyAudio, one message at a time."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from livekit.plugins import smallestai

from bench.peers.wire import HTTP, KEY, RATE, VOICE, WS, Card, texts


async def main() -> None:
    card = Card()
    waiting: asyncio.Queue[str] = asyncio.Queue()
    async with aiohttp.ClientSession() as session:
        speech = smallestai.TTS(
            api_key=KEY,
            model="lightning_v3.1",
            voice_id=VOICE,
            sample_rate=RATE,
            base_url=f"{HTTP}/waves/v1",
            ws_url=f"{WS}/waves/v1/tts/live",
            http_session=session,
        )
        speech.prewarm()

        async def play() -> None:
            while True:
                stream = speech.stream()
                stream.push_text(await waiting.get())
                stream.end_input()
                try:
                    async with stream:
                        async for event in stream:
                            await asyncio.to_thread(card.write, bytes(event.frame.data))
                except Exception as error:  # noqa: BLE001  the next message must be measured, too
                    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)

        async with asyncio.TaskGroup() as group:
            group.create_task(play())
            async for text, _ in texts():
                waiting.put_nowait(text)


if __name__ == "__main__":
    asyncio.run(main())
