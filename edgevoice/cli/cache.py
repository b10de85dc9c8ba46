"""`edgevoice cache`: the size of the cache, and how many requests it saved."""

from __future__ import annotations

import json
from typing import Any

import click

from edgevoice.config import configured_state_dir
from edgevoice.control import query
from edgevoice.errors import EdgeVoiceError


@click.command()
@click.option("--clear", is_flag=True, help="Remove all clips; phrases are made again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration file.")
def cache(clear: bool, as_json: bool, config: str | None) -> None:
    """Show the size of the running daemon's cache, and how many requests it saved since the start."""
    state_dir = configured_state_dir(config)
    state = query(state_dir, ask="cache", clear=clear)
    if state is None:
        raise EdgeVoiceError(
            f"no daemon is running with the state folder {state_dir}; start it: edgevoice run"
        )
    click.echo(json.dumps(state) if as_json else "\n".join(_lines(state, cleared=clear)))


def _lines(state: dict[str, Any], *, cleared: bool) -> list[str]:
    if not state["enabled"]:
        return ["the cache is off (cache.enabled)"]
    lines = [describe(state)]
    if state["phrases"]:
        lines.append(f"{state['ready']} of {state['phrases']} phrases ready")
    return [*lines, "cleared"] if cleared else lines


def describe(state: dict[str, Any]) -> str:
    """Return the state of a cache as a sentence."""
    count = state["clips"]
    size = f"{count} clip{'s' * (count != 1)}, {state['mb']:g} of {state['max_mb']} MB"
    lookups = state["hits"] + state["misses"]
    if not lookups:
        return f"{size}; no lookups yet"
    return f"{size}; {state['hits']} of {lookups} needed no request ({state['hits'] / lookups:.0%})"
