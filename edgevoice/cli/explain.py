"""`edgevoice explain`: what would be done with a text, and why, without saying it."""

from __future__ import annotations

import json
import os

import click

from edgevoice.announcement import Urgency
from edgevoice.assembly import routes, targets
from edgevoice.config import load
from edgevoice.payload import read_payload
from edgevoice.routing import Said, decide


@click.command()
@click.argument("text")
@click.option("--to", "target", default="all", show_default=True, help="A speaker, a group, or all.")
@click.option(
    "--urgency", type=click.Choice([str(step) for step in Urgency]), help="Else TEXT's, else normal."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration.")
def explain(text: str, target: str, urgency: str | None, as_json: bool, config: str | None) -> None:
    """Say what would be done with TEXT, and why, without saying it."""
    settings = load(config)
    usable = [name for name, kind in settings.plugins.transports.items() if kind.missing() is None]
    reading = read_payload(os.fsencode(text), urgency, {"transport": usable})
    values = reading.values
    said = Said(
        urgency=values.get("urgency", Urgency.NORMAL),
        length=len(values["text"]),
        private=values.get("private", False),
        forced=values.get("transport"),
    )
    decision = decide(said, routes(settings), usable)
    speakers = targets(settings).get(target)
    if speakers is None:
        raise click.UsageError(f"nobody answers to {target!r}; there are: {', '.join(targets(settings))}")
    answer = {
        "target": target,
        "speakers": speakers,
        "urgency": said.urgency,
        "characters": said.length,
        "transports": list(decision.order),
        "why": decision.why,
        "warnings": reading.warnings,
        "from": "the configuration alone",
    }
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(f"speakers    {', '.join(speakers)}")
    click.echo(f"urgency     {said.urgency}")
    click.echo(f"transports  {', then '.join(decision.order) or 'none'}")
    click.echo(f"why         {decision.why}")
    for warning in reading.warnings:
        click.echo(f"warning     {warning}")
    click.echo("This is from the configuration alone; the running daemon was not asked.")
