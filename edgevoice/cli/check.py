"""`edgevoice check`: every mistake in the configuration at once."""

from __future__ import annotations

import click

from edgevoice.config import find_config_file, load
from edgevoice.plugin_loader import Status


@click.command()
@click.option("--config", metavar="FILE", help="The configuration to check.")
def check(config: str | None) -> None:
    """Check the configuration: every mistake at once, with its path and line."""
    settings = load(config)
    for warning in settings.warnings:
        click.echo(f"note: {warning}")
    for record in settings.plugins.records:
        if record.status is Status.BROKEN:
            click.echo(f"note: plugin {record.name} ({record.origin}) is not used: {record.problem}")
    click.echo(f"{find_config_file(config) or 'no configuration file; the defaults'}: no mistakes")
