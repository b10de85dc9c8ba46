"""The command `bench/run`: measure the rows that were asked for, print the table, store the run and its picture."""

from __future__ import annotations

import shlex
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from bench.figures.findings import Finding, Run, encode_run
from bench.figures.picture import picture
from bench.figures.table import page
from bench.rig.contestants import installed
from bench.rig.machine import machine, missing, versions
from bench.rows import ROWS
from bench.session import BenchSession

HERE = Path(__file__).parent
Folder = click.Path(file_okay=False, path_type=Path)
METHOD = (
    "Everything on the loopback: a simulated server (100 ms set-up, 5 times real time, 24 kHz, 80 ms chunks unless "
    "a row says otherwise), mosquitto, PulseAudio null sinks. A message's time runs from before its PUBLISH is "
    "written to its first sample on the sink's clock (blocks of 5 ms); added = that less the server's own time from "
    "the request to its first audio. Figures are median / 95th percentile (number of values). Cache and limits off."
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", type=click.Choice(list(ROWS)), multiple=True, help="This row; may be repeated.")
@click.option("--full", "mode", flag_value="full", help="All of it, in about 25 minutes.")
@click.option("--quick", "mode", flag_value="quick", default="quick", help="Less, in about 5; the default.")
@click.option("-n", "samples_asked", type=click.IntRange(1), help="How often each is measured.")
@click.option("--no-peers", is_flag=True, help="EdgeVoice and the references alone.")
@click.option("--real-idle", is_flag=True, help="far: three waits of ten minutes.")
@click.option(
    "--steady", "steady_minutes", type=float, metavar="MINUTES", help="holes: so long on a steady server."
)
@click.option("--results", type=Folder, default=HERE / "results", help="Folder for the run.")
def main(only: tuple[str, ...], no_peers: bool, results: Path, **measure: Any) -> None:
    """Measure EdgeVoice beside a reference and the peers that are installed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that context managers stop the child processes
    if lacking := missing():
        raise click.ClickException(f"not installed: apt-get install {' '.join(lacking)}")
    began = datetime.now(UTC)
    peers, left_out = ([], {}) if no_peers else installed()
    session = BenchSession(peers=peers, left_out=left_out, **measure)
    for name, why in left_out.items():
        session.report_progress(f"{name} is left out: {why}")
    results.mkdir(parents=True, exist_ok=True)
    file = results / f"{began:%Y-%m-%d-%H%M%S}-{session.mode}.json"
    run = _new_run(session, f"{began:%Y-%m-%d %H:%M} UTC")
    for name in only or ROWS:
        findings = [*run.findings, *_measure_row(session, name)]
        run = msgspec.structs.replace(
            run, findings=findings, left_out=session.left_out, samples=session.samples
        )
        file.write_bytes(encode_run(run))  # after each row, so that a later failure costs nothing
    file.with_suffix(".svg").write_text(picture(run), encoding="utf-8")
    click.echo(page(run))
    session.report_progress(f"stored in {file}")


def _new_run(session: BenchSession, date: str) -> Run:
    """Return a run without findings."""
    return Run(
        date=date,
        mode=session.mode,
        command=shlex.join(["bench/run", *sys.argv[1:]]),
        method=METHOD,
        machine=machine(),
        versions=versions() | {kind.name: version for kind in session.peers if (version := kind.version())},
        left_out=session.left_out,
        findings=[],
    )


def _measure_row(session: BenchSession, name: str) -> list[Finding]:
    began = time.monotonic()
    try:
        findings = ROWS[name](session)
    except Exception as error:  # noqa: BLE001  the other rows are measured all the same
        session.report_progress(f"{name}: {traceback.format_exc()}")
        reason = " ".join(f"not measured: {type(error).__name__}: {error}".split())
        return [Finding(row=name, what=name, goal="", unit="", note=reason)]
    session.report_progress(f"{name}: done in {time.monotonic() - began:.0f} s")
    return findings


if __name__ == "__main__":
    main()
