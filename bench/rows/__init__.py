"""The rows of the table, a module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.rows import cached, cut_in, far, flood, holes, idle, latency, long_text, memory, ordinary, ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.figures.findings import Finding
    from bench.session import BenchSession

#: In the order of the table.
ROWS: dict[str, Callable[[BenchSession], list[Finding]]] = {
    row.NAME: row.measure
    for row in (latency, ordinary, far, cached, long_text, holes, cut_in, flood, memory, idle, ready)
}
