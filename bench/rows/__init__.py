"""One module for each row of the table: what is done, and what it is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.rows import cached, cut_in, far, flood, holes, idle, latency, long_text, memory, ordinary, ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.course import Course
    from bench.figures.findings import Finding

ROWS: dict[str, Callable[[Course], list[Finding]]] = {
    row.NAME: row.measure
    for row in (latency, ordinary, far, cached, long_text, holes, cut_in, flood, memory, idle, ready)
}
"""In the order of the table."""
