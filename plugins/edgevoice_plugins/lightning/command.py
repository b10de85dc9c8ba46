"""The command `edgevoice voices`: the voices that the configured model can speak with."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edgevoice.config import load
from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.options import LightningOptions, api_key

if TYPE_CHECKING:
    from edgevoice.config import Settings

WITHIN = 15.0
"""Seconds for the whole list."""
LARGEST = 8 * 1024 * 1024
"""Bytes of a list of voices."""


class Voice(msgspec.Struct, rename="camel"):
    """A voice as `get_voices` lists it."""

    voice_id: str
    display_name: str = ""
    tags: dict[str, Any] = {}

    @property
    def languages(self) -> str:
        given = self.tags.get("language", [])
        return ", ".join(map(str, given)) if isinstance(given, list) else str(given)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration, for its server, key and model.")
def voices(as_json: bool, config: str | None) -> None:
    """List the voices of the configured model, as the server knows them."""
    settings = load(config)
    found = asyncio.run(_voices(settings))
    if as_json:
        rows = [
            {"id": v.voice_id, "name": v.display_name, "languages": v.languages.split(", ")} for v in found
        ]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    from rich.console import Console  # noqa: PLC0415 - only needed here
    from rich.table import Table  # noqa: PLC0415

    table = Table("voice", "name", "language", box=None, pad_edge=False)
    for voice in found:
        table.add_row(voice.voice_id, voice.display_name, voice.languages)
    Console().print(table)


async def _voices(settings: Settings) -> list[Voice]:
    async with AsyncExitStack() as stack:
        lightning: LightningOptions = settings.section("lightning")
        key = api_key(lightning)
        root = lightning.root if key or lightning.base_url else await _own_server(stack)
        path = f"/waves/v1/{lightning.model.replace('_', '-')}/get_voices"
        return await _listed(root, path, key)


async def _own_server(stack: AsyncExitStack) -> str:
    """Serve the voices of this machine; return the server's URL."""
    from edgevoice_plugins.lightning_server.app import serve  # noqa: PLC0415 - aiohttp.web is heavy
    from edgevoice_plugins.local_voice import pool  # noqa: PLC0415

    if pool.missing():
        raise TransportError(
            'there is no API key and no local voice: name lightning.api_key_file, or pip install "edgevoice[local]"'
        )
    return await stack.enter_async_context(serve(await stack.enter_async_context(pool.VoicePool())))


async def _listed(root: str, path: str, key: str | None) -> list[Voice]:
    import aiohttp  # noqa: PLC0415 - only needed here

    from edgevoice.http_client import open_session  # noqa: PLC0415 - brings aiohttp
    from edgevoice_plugins.lightning.exchange import check, describe, whole_body  # noqa: PLC0415 - brings aiohttp

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with open_session() as session, session.get(root + path, headers=headers) as reply:
            await check(reply, "application/json")
            body = await whole_body(reply, most=LARGEST, within=WITHIN)
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(describe(error, root)) from error
    try:
        return msgspec.json.decode(body, type=dict[str, list[Voice]])["voices"]
    except (msgspec.MsgspecError, KeyError) as error:
        raise TransportError(f"{root}{path} did not answer with a list of voices: {error}") from error
