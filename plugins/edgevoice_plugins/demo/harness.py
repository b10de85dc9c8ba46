"""The demo's harness: an embedded broker, a Lightning server with the local voice, and the daemon."""

from __future__ import annotations

import asyncio
import logging
import socket
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from aiohttp import web

from edgevoice import Context, OutputError, run_daemon, settings_from
from edgevoice_plugins.demo.scenario import REFUSED
from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.local_voice.pool import VoicePool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from aiohttp.typedefs import Handler

    from edgevoice import Output

NODE = "demo"
SPEAKER = "living_room"
HOST = "127.0.0.1"


@asynccontextmanager
async def run_harness(output: dict[str, Any]) -> AsyncIterator[int]:
    """Start everything; yield the broker's port. `output` are the options of the only speaker."""
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(_broker())
        voice = await stack.enter_async_context(VoicePool())
        url = await stack.enter_async_context(serve(voice, middlewares=(_refuse_once,)))
        # The usual temporary folder may be in memory, and long clips are written to the disk.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgevoice-demo-", dir="/var/tmp"))
        await stack.enter_async_context(_daemon(port, url, folder, output))
        yield port


def sound_card() -> Output:
    """Return the sound card, outside of any daemon, to probe it.

    Raises:
        OutputError: a dependency is not installed.
    """
    from edgevoice_plugins.sound_card.output import SoundCard  # noqa: PLC0415 - only needed here

    if missing := SoundCard.missing_dependency():
        raise OutputError(f"sound_card {missing}")
    context = Context(
        node=NODE,
        state_dir=Path(tempfile.gettempdir()),
        speakers=(SPEAKER,),
        speaker=SPEAKER,
    )
    return SoundCard(context, SoundCard.options())


@asynccontextmanager
async def _broker() -> AsyncIterator[int]:
    from amqtt.broker import Broker  # noqa: PLC0415 - slow to import

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    try:
        yield port
    finally:
        await broker.shutdown()


@asynccontextmanager
async def _daemon(port: int, url: str, folder: str, output: dict[str, Any]) -> AsyncIterator[None]:
    settings = settings_from(
        yaml.safe_dump(
            {
                "node": NODE,
                "state_dir": folder,
                # The embedded broker supports MQTT 3.1.1 only.
                "mqtt": {"host": HOST, "port": port, "version": "3.1.1"},
                "lightning": {"base_url": url},
                "speakers": {SPEAKER: output},
            }
        )
    )
    stop = asyncio.Event()
    task = asyncio.create_task(run_daemon(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await task


@web.middleware
async def _refuse_once(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 429 as the vendor does at the account's limit, for one text over one transport."""
    if request.path.endswith("/tts") and REFUSED.encode() in await request.read():
        return web.json_response({"error": "TooManyRequests", "message": "concurrency reached"}, status=429)
    return await handler(request)
