"""The demo's table: each announcement, its transport and the reason, updated while it is spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from edgevoice_plugins.demo.client import DemoClient
    from edgevoice_plugins.demo.scenario import Step

#: How the table shows an event that is no outcome.
_STATUS = {
    "queued": "waiting",
    "started": "speaking",
    "interrupted": "interrupted",
    "resumed": "speaking again",
}


#: Minimum width of the columns of single words, so that a narrow table does not break them.
_MIN_WIDTH = {"urgency": 8, "transport": 11, "first sound": 7, "outcome": 11}
#: A terminal of this many columns has room for titles and longer texts.
_WIDE_COLUMNS = 110


def build_table(steps: tuple[Step, ...], client: DemoClient | None, width: int) -> Table:
    """Return the table with the events so far. It fits into 24 lines of 80 columns."""
    wide = width >= _WIDE_COLUMNS
    grid = Table(title="EdgeVoice demo", title_justify="left", expand=True, padding=(0, 1 if wide else 0))
    titles, min_width = (("",), {}) if wide else ((), _MIN_WIDTH)
    for column in (*titles, "text", "urgency", "transport", "why", "first sound", "outcome"):
        justify: JustifyMethod = "right" if column == "first sound" else "left"
        grid.add_column(column, justify=justify, overflow="fold", min_width=min_width.get(column))
    for step in steps:
        events = client.events[step.id] if client else []
        cells = _cells(step, events, 60 if wide else 30)
        grid.add_row(*(escape(cell) for cell in cells[0 if wide else 1 :]))
    return grid


def _cells(step: Step, events: list[dict[str, Any]], max_chars: int) -> tuple[str, ...]:
    last = events[-1] if events else None
    text = step.full_text
    if len(text) > max_chars:
        text = f"{text[: max_chars - 1]}…"
    if last is None:
        return (step.title, text, step.urgency or "normal", "", "", "", "")
    attempts = "".join(f"{attempt['transport']} refused, " for attempt in last["attempts"])
    sound = last["ms"]["first_sound"]
    return (
        step.title,
        text,
        last["urgency"],
        f"{attempts}{last['transport'] or ''}",
        last["why"] or "",
        "" if sound is None else f"{sound} ms",
        _STATUS.get(last["event_type"], last["event_type"]),
    )
