"""`edgevoice explain`: what would be done with a text, and why, without saying it."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from edgevoice.announcement import Urgency
from edgevoice.components import speakers_by_target
from edgevoice.config import load
from edgevoice.control import explain_from_config, query
from edgevoice.paths import find_state_dir


@click.command()
@click.argument("text")
@click.option("--to", "target", default="all", show_default=True, help="A speaker, a group, or all.")
@click.option(
    "--urgency", type=click.Choice([str(step) for step in Urgency]), help="Else TEXT's, else normal."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration.")
def explain(text: str, target: str, urgency: str | None, as_json: bool, config: str | None) -> None:
    """Say what would be done with TEXT, and why, without saying it; asks the running daemon."""
    settings = load(config)
    if target not in speakers_by_target(settings):
        raise click.UsageError(
            f"nobody answers to {target!r}; there are: {', '.join(speakers_by_target(settings))}"
        )
    readable = os.fsencode(text).decode("utf-8", "surrogateescape")
    question = {"text": readable, "target": target, "urgency": urgency}
    answer = query(find_state_dir(settings.core.state_dir), ask="explain", **question)
    if answer is None:
        answer = explain_from_config(settings, question)
    click.echo(json.dumps(answer) if as_json else _in_words(answer))


def _in_words(answer: dict[str, Any]) -> str:
    lines = [
        f"urgency     {answer['urgency']}, {answer['characters']} characters",
        f"intake      {answer['intake']}",
        f"transports  {', then '.join(answer['transports']) or 'none'}",
        f"why         {answer['why']}",
    ]
    for on in answer["speakers"]:
        chime = f"after the chime {on['chime']}" if on["chime"] else "without a chime"
        lines.append(f"{on['speaker']:<12}{on['what']}; at volume {on['volume']}, {chime}")
        lines.append(f"{'':<12}its first sound has to come within {on['ttl']:g} s")
    lines += [f"warning     {warning}" for warning in answer["warnings"]]
    lines.append(f"This is from {answer['from']}.")
    return "\n".join(lines)
