"""Kept runs shown again, several as one: `python -m bench.again [--picture FILE] RUN.json...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bench.figures.findings import read
from bench.figures.picture import picture
from bench.figures.table import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures.findings import Run

File = click.Path(exists=True, dir_okay=False, path_type=Path)


def merged(runs: Sequence[Run]) -> Run:
    """The first run, in which each row that a later one has stands as that found it; new rows at the end.

    The note of such a finding says when it was measured.
    """
    first, *others = runs
    findings = {
        finding.row: [f for f in first.findings if f.row == finding.row] for finding in first.findings
    }
    for run in others:
        for row in dict.fromkeys(finding.row for finding in run.findings):
            findings[row] = [
                msgspec.structs.replace(finding, note="; ".join(filter(None, (finding.note, run.date))))
                for finding in run.findings
                if finding.row == row
            ]
    return msgspec.structs.replace(
        first,
        findings=[finding for row in findings.values() for finding in row],
        samples={name: values for run in runs for name, values in run.samples.items()},
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=File)
@click.option("--picture", "drawn", type=click.Path(dir_okay=False, path_type=Path), help="Draw it there.")
def main(files: tuple[Path, ...], drawn: Path | None) -> None:
    """Print the table of runs that were kept; what a later one measured stands in place of the earlier."""
    try:
        run = merged([read(file.read_bytes()) for file in files])
    except msgspec.DecodeError as error:
        raise click.ClickException(f"no run of bench/run: {error}") from error
    click.echo(page(run))
    if drawn is not None:
        drawn.write_text(picture(run), encoding="utf-8")


if __name__ == "__main__":
    main()
