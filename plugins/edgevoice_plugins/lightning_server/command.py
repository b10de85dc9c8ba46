"""The command `edgevoice lightning-server`: the local voice for every client made for Lightning."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.lightning_server.limits import ServerLimits
from edgevoice_plugins.local_voice.pool import VoicePool, missing_dependency


@click.command("lightning-server")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 is any free port."
)
@click.option("--max-chars", type=click.IntRange(1), help="Refuse texts with more characters.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Serve only clients that send the key in this file.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Accept requests to this host name too, such as nas.local. May be repeated.",
)
def lightning_server(
    host: str, port: int, max_chars: int | None, api_key_file: Path | None, allow_host: tuple[str, ...]
) -> None:
    """Serve the local voice as Lightning does: over HTTP, server-sent events and WebSocket."""
    if missing := missing_dependency():
        raise click.UsageError(f"the local voice {missing}")
    options = {
        "api_key": None if api_key_file is None else _read_key(api_key_file),
        "allowed_hosts": allow_host,
        "limits": ServerLimits() if max_chars is None else ServerLimits(max_chars=max_chars),
    }
    try:
        asyncio.run(_serve(host, port, options))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _read_key(file: Path) -> str:
    try:
        key = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--api-key-file: {file} cannot be read: {error}") from error
    if not key:
        raise click.UsageError(f"--api-key-file: {file} is empty")
    return key


async def _serve(host: str, port: int, options: dict[str, Any]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        voice = await stack.enter_async_context(VoicePool())
        click.echo(await stack.enter_async_context(serve(voice, host, port, **options)))
        await ended.wait()
