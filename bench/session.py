"""The options of one benchmark run, and the samples that its rows collect."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bench.rig.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.rig.contestants import Contestant
    from bench.rig.rig import RunningContestant

Mode = Literal["quick", "full"]
#: On a disk: EdgeVoice keeps long announcements there, and refuses memory.
SCRATCH = "/var/tmp"


@dataclass
class BenchSession:
    """The options of a run, and its samples.

    `samples_asked` and `steady_minutes` override the number of measurements, and the minutes of the row `holes`
    on a steady server, that the mode implies. `samples` are all single values, by finding and contestant.
    """

    mode: Mode
    peers: Sequence[Contestant]
    samples_asked: int | None = None
    real_idle: bool = False
    steady_minutes: float | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)

    def count(self, quick: int, full: int) -> int:
        """Return the number of measurements: `samples_asked`, else by the mode."""
        return self.samples_asked or (full if self.mode == "full" else quick)

    @property
    def is_full(self) -> bool:
        return self.mode == "full"

    def report_progress(self, what: str) -> None:
        """Print a line with the time to stderr."""
        click.echo(f"{time.strftime('%H:%M:%S')} {what}", err=True)

    def keep_samples(self, finding: str, values: dict[str, list[float | None]]) -> None:
        """Store the single values of a finding, rounded to a hundredth."""
        rounded = {
            name: [None if value is None else round(value, 2) for value in column]
            for name, column in values.items()
        }
        self.samples[finding] = rounded

    @contextmanager
    def rig(self, *, idle: float = 60.0) -> Iterator[Rig]:
        scratch = tempfile.TemporaryDirectory(
            prefix="edgevoice-bench-", dir=SCRATCH, ignore_cleanup_errors=True
        )
        with scratch as folder, Rig(Path(folder), idle=idle) as rig:
            yield rig

    def start(
        self, stack: ExitStack, rig: Rig, kind: Contestant, sink: str | None = None
    ) -> RunningContestant | None:
        """Start a peer until the stack ends; return None, and note the reason, if it does not start."""
        try:
            return stack.enter_context(rig.start_contestant(kind, sink=sink or rig.monitor.sink))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            self.left_out[kind.name] = reason
            self.report_progress(f"{kind.name} is left out: {reason}")
            return None
