"""`edgevoice history`: the last outcomes."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any

import click

from edgevoice.config import configured_state_dir
from edgevoice.errors import EdgeVoiceError
from edgevoice.outcome import OUTCOMES
from edgevoice.storage.database import read_history
from edgevoice.storage.schema import FILE

_SPAN = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> float:
    """Return UTC seconds of a time, or of a span before now."""
    if text is None:
        return 0.0
    if span := _SPAN.fullmatch(text):
        return time.time() - int(span[1]) * _SECONDS[span[2]]
    try:
        return datetime.fromisoformat(text).timestamp()  # of the local clock if it names no other
    except (ValueError, OverflowError):
        message = f"{text!r} is neither a time such as 2026-11-22T18:00 nor a span such as 90m, 12h or 2d"
        raise click.BadParameter(message) from None


@click.command()
@click.option("--last", type=click.IntRange(1, 500), default=20, show_default=True, help="How many.")
@click.option("--speaker", metavar="NAME", help="Only of this speaker.")
@click.option(
    "--outcome",
    type=click.Choice(sorted(outcome.value for outcome in OUTCOMES)),
    help="Only those that ended so.",
)
@click.option("--since", metavar="TIME", callback=_moment, help="Only since a time, or a span such as 2h.")
@click.option("--text", metavar="TEXT", help="Only those whose text contains this.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="The configuration.")
def history(  # noqa: PLR0913, PLR0917 - click passes them by name
    last: int,
    speaker: str | None,
    outcome: str | None,
    since: float,
    text: str | None,
    as_json: bool,
    config: str | None,
) -> None:
    """List the last outcomes, whether the daemon runs or not."""
    file = configured_state_dir(config) / FILE
    if not file.exists():
        raise EdgeVoiceError(f"no history: {file} does not exist; `edgevoice run` writes it")
    outcomes = read_history(file, last=last, speaker=speaker, outcome=outcome, since=since, text=text)
    if as_json:
        click.echo(json.dumps(outcomes))
        return
    from rich.console import Console  # noqa: PLC0415 - only needed here
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column in ("at", "speaker", "id", "urgency", "outcome", "transport", "sound after"):
        table.add_column(column, no_wrap=True)
    table.add_column("text")  # gives way where the terminal is narrow
    for one in outcomes:
        table.add_row(*_cells(one))
    Console().print(table)


def _cells(outcome: dict[str, Any]) -> tuple[Any, ...]:
    from rich.text import Text  # noqa: PLC0415 - only needed here

    reason = f" ({outcome['reason']})" if outcome.get("reason") else ""
    sound = outcome.get("ms", {}).get("first_sound")
    return (
        str(outcome.get("at"))[:19].replace("T", " "),
        str(outcome.get("speaker")),
        str(outcome.get("id")),
        str(outcome.get("urgency")),
        f"{outcome.get('event_type')}{reason}",
        "cache" if outcome.get("cached") else outcome.get("transport") or "",
        "" if sound is None else f"{sound} ms",
        Text(" ".join(str(outcome.get("text", "")).split()), overflow="ellipsis", no_wrap=True),
    )
