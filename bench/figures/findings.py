"""A run and its findings, one for each line of the table."""

from __future__ import annotations

import msgspec

from bench.figures.statistics import Figure


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table.

    `edgevoice` has a figure for each of its transports or variants, in `unit`, which also names the baseline.
    `met` is whether the goal was reached; None if the run cannot tell, and `note` then says why.
    `drawn` is an amount for each contestant, the less the better, whose ratios are in the picture; amounts that
    differ by less than `resolution` count as equal.
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
    """A run. `samples` are the single values, in milliseconds, by finding and contestant."""

    date: str
    mode: str
    command: str
    method: str
    machine: dict[str, str]
    versions: dict[str, str]
    left_out: dict[str, str]
    findings: list[Finding]
    samples: dict[str, dict[str, list[float | None]]] = {}


def encode_run(run: Run) -> bytes:
    """Return a run as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def decode_run(data: bytes) -> Run:
    """Return the run in a JSON file.

    Raises:
        msgspec.ValidationError: the file holds no run.
    """
    return msgspec.json.decode(data, type=Run)
