"""`edgevoice plugins`: what was found, what it brings, and what is wrong with it."""

from __future__ import annotations

import json

import click

from edgevoice.config import load
from edgevoice.errors import ConfigError
from edgevoice.plugin_loader import Plugins


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration, for its plugins_dir.")
def plugins(as_json: bool, config: str | None) -> None:
    """List the plugins, what each brings, and what is wrong with it."""
    try:
        records = load(config).plugins.records
    except ConfigError:
        click.echo(
            "The configuration has mistakes (see `edgevoice check`); these are the installed plugins.",
            err=True,
        )
        records = Plugins.load().records
    if as_json:
        keys = ("name", "origin", "status", "problem", "provides")
        click.echo(json.dumps([{key: getattr(record, key) for key in keys} for record in records]))
        return
    from rich.console import Console  # noqa: PLC0415 - only needed here
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("plugin", "brings", "status", "from", box=None, pad_edge=False)
    for record in records:
        status = f"{record.status}: {record.problem}" if record.problem else str(record.status)
        cells = (record.name, ", ".join(record.provides), status, record.origin)
        table.add_row(*map(Text, cells))  # what a plugin says is no markup
    Console().print(table)
