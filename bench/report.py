"""Print stored runs, merged into one: `python -m bench.report [--picture FILE] RUN.json...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bench.figures.findings import decode_run
from bench.figures.picture import picture
from bench.figures.table import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures.findings import Run

File = click.Path(exists=True, dir_okay=False, path_type=Path)


def merge_runs(runs: Sequence[Run]) -> Run:
    """Return the first run with the rows of later runs in place of its own; new rows come at the end.

    The note of a replaced finding gives the date of its run.
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
    """Print the table of stored runs. Rows of later runs replace those of earlier runs."""
    try:
        run = merge_runs([decode_run(file.read_bytes()) for file in files])
    except msgspec.DecodeError as error:
        raise click.ClickException(f"no run of bench/run: {error}") from error
    click.echo(page(run))
    if drawn is not None:
        drawn.write_text(picture(run), encoding="utf-8")


if __name__ == "__main__":
    main()
