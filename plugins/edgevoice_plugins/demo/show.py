"""The demo's table: each announcement, the way it took and why, growing while it is spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from edgevoice_plugins.demo.audience import Audience
    from edgevoice_plugins.demo.script import Act

_DOING = {
    "queued": "waiting",
    "started": "speaking",
    "interrupted": "interrupted",
    "resumed": "speaking again",
}


_LEAST = {"urgency": 8, "transport": 11, "first sound": 7, "outcome": 11}
"""Characters of the columns of single words, which a narrow table shall not break."""
WIDE = 110
"""Columns of a terminal from which on there is room for titles and longer texts."""


def table(acts: tuple[Act, ...], audience: Audience | None, width: int) -> Table:
    """The table as far as it is known; 24 lines of 80 columns are enough for it."""
    wide = width >= WIDE
    grid = Table(title="EdgeVoice demo", title_justify="left", expand=True, padding=(0, 1 if wide else 0))
    titles, least = (("",), {}) if wide else ((), _LEAST)
    for column in (*titles, "text", "urgency", "transport", "why", "first sound", "outcome"):
        justify: JustifyMethod = "right" if column == "first sound" else "left"
        grid.add_column(column, justify=justify, overflow="fold", min_width=least.get(column))
    for act in acts:
        events = audience.steps[act.id] if audience else []
        cells = _cells(act, events, 60 if wide else 30)
        grid.add_row(*(escape(cell) for cell in cells[0 if wide else 1 :]))
    return grid


def _cells(act: Act, events: list[dict[str, Any]], longest: int) -> tuple[str, ...]:
    last = events[-1] if events else None
    text = act.shown if len(act.shown) <= longest else f"{act.shown[: longest - 1]}…"
    if last is None:
        return (act.title, text, act.urgency or "normal", "", "", "", "")
    attempts = "".join(f"{attempt['transport']} refused, " for attempt in last["attempts"])
    sound = last["ms"]["first_sound"]
    return (
        act.title,
        text,
        last["urgency"],
        f"{attempts}{last['transport'] or ''}",
        last["why"] or "",
        "" if sound is None else f"{sound} ms",
        _DOING.get(last["event_type"], last["event_type"]),
    )
