"""A module for each row of the table: its measurement, and its baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.rows import cached, cut_in, far, flood, holes, idle, latency, long_text, memory, ordinary, ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.course import Course
    from bench.figures.findings import Finding

#: In the order of the table.
ROWS: dict[str, Callable[[Course], list[Finding]]] = {
    row.NAME: row.measure
    for row in (latency, ordinary, far, cached, long_text, holes, cut_in, flood, memory, idle, ready)
}
