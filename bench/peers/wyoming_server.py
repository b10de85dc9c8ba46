"""The server for a wyoming-satellite: it turns texts into Wyoming audio events, which the satellite plays with aplay."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import subprocess
import sys

import aiohttp
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.satellite import RunSatellite

from bench.peers.wire import HTTP, RATE, request, texts

PLAYER = f"aplay -q -r {RATE} -c 1 -f S16_LE -t raw"
SHAPE = {"rate": RATE, "width": 2, "channels": 1}


def satellite() -> int:
    """Start wyoming-satellite; return its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    program = [sys.executable, "-m", "wyoming_satellite", "--name", "bench", "--no-zeroconf"]
    sound = ["--mic-command", "sleep 36000", "--snd-command", PLAYER, "--snd-command-rate", str(RATE)]
    subprocess.Popen([*program, "--uri", f"tcp://127.0.0.1:{port}", *sound])
    return port


async def connected(port: int) -> AsyncTcpClient:
    while True:
        client = AsyncTcpClient("127.0.0.1", port)
        with contextlib.suppress(OSError):
            await client.connect()
            return client
        await asyncio.sleep(0.02)


async def drain(client: AsyncTcpClient) -> None:
    while await client.read_event() is not None:
        pass


async def main() -> None:
    client = await connected(satellite())
    await client.write_event(RunSatellite().event())
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        group.create_task(drain(client))
        async for text, _ in texts():
            async with session.post(f"{HTTP}/waves/v1/tts/live", json=request(text)) as reply:
                await client.write_event(AudioStart(**SHAPE).event())
                async for line in reply.content:
                    if line.startswith(b"data: ") and (audio := json.loads(line[6:]).get("audio")):
                        chunk = AudioChunk(**SHAPE, audio=base64.b64decode(audio))
                        await client.write_event(chunk.event())
                await client.write_event(AudioStop().event())


if __name__ == "__main__":
    asyncio.run(main())
