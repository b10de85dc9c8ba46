"""`edgevoice explain`: what would be done with a text, and why, without speaking it."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from edgevoice.announcement import Urgency
from edgevoice.composition import speakers_by_target
from edgevoice.config import configured_state_dir, load_settings
from edgevoice.control import explain_from_config, query, unknown_target


@click.command()
@click.argument("text")
@click.option("--to", "target", default="all", show_default=True, help="A speaker, a group, or all.")
@click.option(
    "--urgency", type=click.Choice([str(step) for step in Urgency]), help="Else the one in TEXT, else normal."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration file.")
def explain(text: str, target: str, urgency: str | None, as_json: bool, config: str | None) -> None:
    """Explain what would be done with TEXT, without speaking it. Asks the running daemon, if there is one."""
    readable = os.fsencode(text).decode("utf-8", "surrogateescape")
    request = {"text": readable, "target": target, "urgency": urgency}
    answer = query(configured_state_dir(config), ask="explain", **request)
    if answer is None:
        settings = load_settings(config)
        if target not in speakers_by_target(settings):
            raise click.UsageError(unknown_target(settings, target))
        answer = explain_from_config(settings, request)
    click.echo(json.dumps(answer) if as_json else _as_text(answer))


def _as_text(answer: dict[str, Any]) -> str:
    lines = [
        f"urgency     {answer['urgency']}, {answer['characters']} characters",
        f"intake      {answer['intake']}",
        f"transports  {', then '.join(answer['transports']) or 'none'}",
        f"why         {answer['why']}",
    ]
    for on in answer["speakers"]:
        chime = f"after the chime {on['chime']}" if on["chime"] else "without a chime"
        lines.append(f"{on['speaker']:<12}{on['what']}; at volume {on['volume']}, {chime}")
        lines.append(f"{'':<12}expires unless it begins within {on['ttl']:g} s")
    lines += [f"warning     {warning}" for warning in answer["warnings"]]
    lines.append(f"Source: {answer['from']}.")
    return "\n".join(lines)
