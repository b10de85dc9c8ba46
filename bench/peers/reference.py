"""The reference: the shortest path in Python, with one connection and one open stream and nothing else.

`reference.py websocket | events | cold`; `cold` opens a WebSocket for each message.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import subprocess
import sys

import aiohttp

from bench.peers.wire import HTTP, RATE, WS, request, subscribed

LIVE = "/waves/v1/tts/live"
PIPE_BYTES = 4096


def card() -> int:
    """Open a PulseAudio stream; return the descriptor of its pipe, which buffers little."""
    options = f"--rate={RATE} --channels=1 --format=s16le --raw --latency-msec=20 --process-time-msec=5"
    player = subprocess.Popen(["pacat", "--playback", *options.split()], stdin=subprocess.PIPE, bufsize=0)
    assert player.stdin is not None
    pipe = player.stdin.fileno()
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return os.dup(pipe)


def messages(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[str]:
    """Return a queue of the published texts, which paho's thread fills."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    def hear(_topic: str, text: str) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, text)

    subscribed(hear).loop_start()
    return queue


async def over_socket(socket: aiohttp.ClientWebSocketResponse, text: str, pipe: int) -> None:
    await socket.send_json(request(text))
    async for message in socket:
        frame = json.loads(message.data)
        if frame["status"] != "chunk":
            return
        await asyncio.to_thread(os.write, pipe, base64.b64decode(frame["data"]["audio"]))


async def over_events(session: aiohttp.ClientSession, text: str, pipe: int) -> None:
    async with session.post(HTTP + LIVE, json=request(text)) as reply:
        async for line in reply.content:
            if line.startswith(b"data: ") and (audio := json.loads(line[6:]).get("audio")):
                await asyncio.to_thread(os.write, pipe, base64.b64decode(audio))


async def main(mode: str) -> None:
    pipe = card()
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(WS + LIVE) if mode == "websocket" else None
        queue = messages(asyncio.get_running_loop())
        while True:
            text = await queue.get()
            if mode == "events":
                await over_events(session, text, pipe)
            elif socket is not None:
                await over_socket(socket, text, pipe)
            else:
                async with session.ws_connect(WS + LIVE) as once:
                    await over_socket(once, text, pipe)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
