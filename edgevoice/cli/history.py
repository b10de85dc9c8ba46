"""`edgevoice history`: the last outcomes."""

from __future__ import annotations

import json
from typing import Any

import click

from edgevoice.config import load
from edgevoice.control import query
from edgevoice.errors import EdgeVoiceError
from edgevoice.paths import find_state_dir


@click.command()
@click.option("--last", type=click.IntRange(1, 500), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration.")
def history(last: int, as_json: bool, config: str | None) -> None:
    """List the last outcomes of the running daemon, also from before its last restart."""
    folder = find_state_dir(load(config).core.state_dir)
    outcomes = query(folder, ask="history", last=last)
    if outcomes is None:
        raise EdgeVoiceError(f"no daemon runs with the state folder {folder}: start it with `edgevoice run`")
    if as_json:
        click.echo(json.dumps(outcomes))
        return
    from rich.console import Console  # noqa: PLC0415 - only needed here
    from rich.table import Table  # noqa: PLC0415

    table = Table(
        "at", "speaker", "id", "urgency", "outcome", "transport", "first sound", box=None, pad_edge=False
    )
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    Console().print(table)


def _cells(outcome: dict[str, Any]) -> tuple[str, ...]:
    reason = f" ({outcome['reason']})" if outcome.get("reason") else ""
    sound = outcome.get("ms", {}).get("first_sound")
    return (
        str(outcome["at"])[:19].replace("T", " "),
        outcome["speaker"],
        outcome["id"],
        outcome["urgency"],
        f"{outcome['event_type']}{reason}",
        "cache" if outcome.get("cached") else outcome.get("transport") or "",
        "" if sound is None else f"{sound} ms",
    )
