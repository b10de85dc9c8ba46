"""`edgevoice lightning-server`: the local voice for every client made for Lightning."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.local_voice.pool import VoicePool, missing_dependency


@click.command("lightning-server")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 is any free one."
)
@click.option("--max-chars", type=click.IntRange(1), help="Refuse texts with more characters.")
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Serve only those who have the key in this file.",
)
def lightning_server(host: str, port: int, max_chars: int | None, api_key_file: Path | None) -> None:
    """Serve the local voice as Lightning does: over HTTP, server-sent events and WebSocket."""
    lacking = missing_dependency()
    if lacking:
        raise click.UsageError(f"the local voice {lacking}")
    api_key = None if api_key_file is None else _key(api_key_file)
    try:
        asyncio.run(_serve(host, port, max_chars, api_key))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _key(file: Path) -> str:
    try:
        key = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--api-key-file: {file} cannot be read: {error}") from error
    if not key:
        raise click.UsageError(f"--api-key-file: {file} is empty")
    return key


async def _serve(host: str, port: int, max_chars: int | None, api_key: str | None) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with (
        VoicePool() as voice,
        serve(voice, host, port, api_key=api_key, max_chars=max_chars) as url,
    ):
        click.echo(url)
        await ended.wait()
