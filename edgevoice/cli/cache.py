"""`edgevoice cache`: what is kept of what was said, and how much that spares."""

from __future__ import annotations

import json
from typing import Any

import click

from edgevoice.cache.cache import describe
from edgevoice.config import load
from edgevoice.control import query
from edgevoice.errors import EdgeVoiceError
from edgevoice.paths import find_state_dir


@click.command()
@click.option("--clear", is_flag=True, help="Throw all clips away; phrases are made anew.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration.")
def cache(clear: bool, as_json: bool, config: str | None) -> None:
    """Show how much the running daemon keeps, and how often no request was needed since its start."""
    folder = find_state_dir(load(config).core.state_dir)
    state = query(folder, ask="cache", clear=clear)
    if state is None:
        raise EdgeVoiceError(f"no daemon runs with the state folder {folder}: start it with `edgevoice run`")
    click.echo(json.dumps(state) if as_json else "\n".join(_lines(state, cleared=clear)))


def _lines(state: dict[str, Any], *, cleared: bool) -> list[str]:
    if not state["enabled"]:
        return ["the cache is off (`cache.enabled`)"]
    lines = [describe(state)]
    if state["phrases"]:
        lines.append(f"{state['ready']} of {state['phrases']} phrases ready")
    return [*lines, "all of it is thrown away now"] if cleared else lines
