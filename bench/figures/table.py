"""The table of a run, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures.findings import Finding, Run
    from bench.figures.statistics import Figure

COLUMNS = ("what", "goal", "EdgeVoice", "reference", "best peer", "other peers", "goal met")
VERDICTS = {True: "yes", False: "**no**", None: "not told"}


def table(findings: Sequence[Finding]) -> str:
    """Return a line for each finding: median / p95 of each figure, and the number of measurements."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *map(_line, findings)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def page(run: Run) -> str:
    """Return the table with the method, the machine and the versions."""
    machine = ", ".join(f"{name} {value}" for name, value in run.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in run.versions.items())
    parts = [
        f"{run.date}, {run.mode} run: `{run.command}`",
        table(run.findings),
        run.method,
        machine,
        versions,
    ]
    if run.left_out:
        parts.append("Left out: " + "; ".join(f"{name}: {why}" for name, why in run.left_out.items()))
    return "\n\n".join(parts)


def _line(finding: Finding) -> list[str]:
    # `drawn` is what is missing, if more is better.
    peers = sorted(finding.peers.items(), key=lambda item: finding.drawn.get(item[0], item[1].median))
    own = _cell(list(finding.edgevoice.items())) or finding.note or "not measured"
    note = f" ({finding.note})" if finding.note and finding.edgevoice else ""
    return [
        finding.what,
        f"{finding.goal}{note}",
        f"{own}; {finding.unit}",
        _cell(list(finding.references.items())),
        _cell(peers[:1]),
        _cell(peers[1:]),
        VERDICTS[finding.met],
    ]


def _cell(figures: Sequence[tuple[str, Figure]]) -> str:
    return "; ".join(f"{name} {format_figure(figure)}" for name, figure in figures)


def format_figure(figure: Figure) -> str:
    """Return median and p95, or one number if there is only one value."""
    if figure.n == 1:
        return format_number(figure.median)
    return f"{format_number(figure.median)} / {format_number(figure.p95)} (n={figure.n})"


def format_number(value: float) -> str:
    """Return a number with three significant digits."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
