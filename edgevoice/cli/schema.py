"""`edgevoice schema`: the JSON Schema of an announcement."""

from __future__ import annotations

import json

import click

from edgevoice.intake.payload import payload_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of an announcement."""
    click.echo(json.dumps(payload_schema(), indent=2))
