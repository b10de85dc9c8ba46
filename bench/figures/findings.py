"""The findings of a run: one for each line of the table, with its conditions."""

from __future__ import annotations

import msgspec

from bench.figures.statistics import Figure


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table.

    `edgevoice` has a figure for each of its transports or variants, in `unit`, which says also what it is held
    against. `met` is whether the goal was reached; None where the run cannot tell, and `note` then says why.
    `drawn` is an amount for each contestant, the less the better, of which the picture shows the ratios;
    what differs by less than `resolution` is not told apart.
    """

    row: str
    what: str
    goal: str
    unit: str
    edgevoice: dict[str, Figure] = {}
    references: dict[str, Figure] = {}
    peers: dict[str, Figure] = {}
    met: bool | None = None
    note: str = ""
    drawn: dict[str, float] = {}
    resolution: float = 0.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run. `samples` are the single values, in milliseconds, by finding and contestant."""

    date: str
    mode: str
    command: str
    method: str
    machine: dict[str, str]
    versions: dict[str, str]
    left_out: dict[str, str]
    findings: list[Finding]
    samples: dict[str, dict[str, list[float | None]]] = {}


def written(run: Run) -> bytes:
    """A run as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def read(data: bytes) -> Run:
    """A run that was written.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.json.decode(data, type=Run)
