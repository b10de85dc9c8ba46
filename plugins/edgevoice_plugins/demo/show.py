"""The demo's table: each announcement, the way it took and why, growing while it is spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from edgevoice_plugins.demo.audience import Audience
    from edgevoice_plugins.demo.script import Act

_DOING = {
    "queued": "waiting",
    "started": "speaking",
    "interrupted": "interrupted",
    "resumed": "speaking again",
}


def table(acts: tuple[Act, ...], audience: Audience | None) -> Table:
    """The table as far as it is known."""
    grid = Table(title="EdgeVoice demo", title_justify="left", expand=True)
    for column in ("", "text", "urgency", "transport", "why", "first sound", "outcome"):
        grid.add_column(column, justify="right" if column == "first sound" else "left", overflow="fold")
    for act in acts:
        events = audience.steps[act.id] if audience else []
        grid.add_row(*(escape(cell) for cell in _cells(act, events)))
    return grid


def _cells(act: Act, events: list[dict[str, Any]]) -> tuple[str, ...]:
    last = events[-1] if events else None
    text = act.shown if len(act.shown) <= 60 else f"{act.shown[:57]}..."
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
