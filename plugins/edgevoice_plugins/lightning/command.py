"""The command `edgevoice voices`: the voices that the configured model can speak with."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edgevoice import TransportError, load_settings, open_http_session
from edgevoice_plugins.lightning.options import LightningOptions, api_key

if TYPE_CHECKING:
    from edgevoice import Settings

#: Seconds for the whole list.
TIMEOUT_S = 15.0
#: Bytes of a list of voices.
MAX_BYTES = 8 * 1024 * 1024


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
    settings = load_settings(config)
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
    lightning: LightningOptions = settings.section("lightning")
    key = api_key(lightning)
    if key or lightning.base_url:
        path = f"/waves/v1/{lightning.model.replace('_', '-')}/get_voices"
        return _decode(await _fetch(lightning.root, path, key))
    return _decode(msgspec.json.encode(_local_voices(lightning.model)))


def _local_voices(model: str) -> dict[str, Any]:
    """Return the voices of this machine, which speak where there is no key."""
    from edgevoice_plugins.local_voice.pool import missing_dependency  # noqa: PLC0415
    from edgevoice_plugins.local_voice.voices import list_voices  # noqa: PLC0415 - only needed here

    if missing_dependency():
        raise TransportError(
            'there is no API key and no local voice: set lightning.api_key_file, or pip install "edgevoice[local]"'
        )
    return list_voices(model)


async def _fetch(root: str, path: str, key: str | None) -> bytes:
    import aiohttp  # noqa: PLC0415 - only needed here

    from edgevoice_plugins.lightning.errors import connection_error  # noqa: PLC0415
    from edgevoice_plugins.lightning.http_connection import check_reply, read_body  # noqa: PLC0415

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with open_http_session() as session, session.get(root + path, headers=headers) as reply:
            await check_reply(reply, "application/json")
            return await read_body(reply, max_bytes=MAX_BYTES, timeout_s=TIMEOUT_S)
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error, root) from error


def _decode(body: bytes) -> list[Voice]:
    try:
        return msgspec.json.decode(body, type=dict[str, list[Voice]])["voices"]
    except (msgspec.MsgspecError, KeyError) as error:
        raise TransportError(f"the server did not answer with a list of voices: {error}") from error
