"""The demo's table in a narrow and in a wide terminal."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from edgevoice_plugins.demo.scenario import STEPS
from edgevoice_plugins.demo.table import build_table

LAST = {
    "event_type": "interrupted",
    "urgency": "critical",
    "transport": "http_stream",
    "why": "longer than 140 characters",
    "attempts": [],
    "ms": {"first_sound": 1234},
}

EVENTS = {
    step.id: [LAST | {"attempts": [{"transport": "http"}] if step.failed_first else []}] for step in STEPS
}


@pytest.mark.parametrize(("width", "lines"), [(80, 24), (140, 40)])
@pytest.mark.parametrize("client", [None, SimpleNamespace(events=EVENTS)])
def test_table_fits_terminal(width, lines, client):
    console = Console(file=io.StringIO(), width=width)
    console.print(build_table(STEPS, client, width))
    shown = console.file.getvalue().splitlines()
    assert len(shown) < lines
    assert max(map(len, shown)) <= width
    cells = {cell.strip() for line in shown for cell in line.split("│")}
    if client:
        assert {"http_stream", "critical", "interrupted", "1234 ms"} <= cells
        assert any("characters" in cell for cell in cells)
