"""The demo's table, as a person sees it in a narrow and in a wide terminal."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from edgevoice_plugins.demo.script import ACTS
from edgevoice_plugins.demo.show import table

LAST = {
    "event_type": "interrupted",
    "urgency": "critical",
    "transport": "http_stream",
    "why": "longer than 140 characters",
    "attempts": [],
    "ms": {"first_sound": 1234},
}

STEPS = {act.id: [LAST | {"attempts": [{"transport": "http"}] if act.failed_first else []}] for act in ACTS}


@pytest.mark.parametrize(("width", "lines"), [(80, 24), (140, 40)])
@pytest.mark.parametrize("audience", [None, SimpleNamespace(steps=STEPS)])
def test_it_fits_the_terminal_and_breaks_no_word(width, lines, audience):
    console = Console(file=io.StringIO(), width=width)
    console.print(table(ACTS, audience, width))
    shown = console.file.getvalue().splitlines()
    assert len(shown) < lines
    assert max(map(len, shown)) <= width
    cells = {cell.strip() for line in shown for cell in line.split("│")}
    if audience:
        assert {"http_stream", "critical", "interrupted", "1234 ms"} <= cells
        assert any("characters" in cell for cell in cells)
