"""`edgevoice check`, `plugins` and `schema`: what is configured and installed, without a running daemon."""

from __future__ import annotations

import json

import click

from edgevoice.config import find_config_file, load_settings
from edgevoice.errors import ConfigError
from edgevoice.intake.payload import payload_schema
from edgevoice.plugin_loader import Plugins, Status


@click.command()
@click.option("--config", metavar="FILE", help="The configuration file to check.")
def check(config: str | None) -> None:
    """Check the configuration: every mistake at once, with its path and line."""
    settings = load_settings(config)
    for warning in settings.warnings:
        click.echo(f"note: {warning}")
    for record in settings.plugins.records:
        if record.status is Status.BROKEN:
            click.echo(f"note: plugin {record.name} ({record.origin}) is not used: {record.problem}")
    click.echo(f"{find_config_file(config) or 'no configuration file; the defaults'}: no mistakes")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration file, for its plugins_dir.")
def plugins(as_json: bool, config: str | None) -> None:
    """List the plugins: what each provides, and what is wrong with it."""
    try:
        records = load_settings(config).plugins.records
    except ConfigError:
        click.echo(
            "The configuration has mistakes (see `edgevoice check`); installed plugins only:", err=True
        )
        records = Plugins.load().records
    if as_json:
        keys = ("name", "origin", "status", "problem", "provides")
        click.echo(json.dumps([{key: getattr(record, key) for key in keys} for record in records]))
        return
    from rich.console import Console  # noqa: PLC0415 - only needed here
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("plugin", "provides", "status", "from", box=None, pad_edge=False)
    for record in records:
        status = f"{record.status}: {record.problem}" if record.problem else str(record.status)
        cells = (record.name, ", ".join(record.provides), status, record.origin)
        table.add_row(*map(Text, cells))  # Text: a plugin's message is not rich markup
    Console().print(table)


@click.command()
def schema() -> None:
    """Print the JSON Schema of an announcement."""
    click.echo(json.dumps(payload_schema(), indent=2))
