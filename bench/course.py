"""A run of the bench as its rows see it: the number of rounds, the contestants, and where findings go."""

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

    from bench.rig.contestants import Kind
    from bench.rig.rig import Started

Mode = Literal["quick", "full"]
#: On a disk: EdgeVoice keeps long announcements there, and refuses memory.
SCRATCH = "/var/tmp"


@dataclass
class Course:
    """The options of a run, and its findings.

    `n` is how often each is measured, `steady` the minutes on a steady server, where the mode is not to decide.
    `samples` are all single values by finding.
    """

    mode: Mode
    peers: Sequence[Kind]
    n: int | None = None
    real_idle: bool = False
    steady: float | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)

    def times(self, quick: int, full: int) -> int:
        """How often: as asked, else by the mode."""
        return self.n or (full if self.mode == "full" else quick)

    @property
    def is_full(self) -> bool:
        return self.mode == "full"

    def tell(self, what: str) -> None:
        """Show how far it is."""
        click.echo(f"{time.strftime('%H:%M:%S')} {what}", err=True)

    def keep(self, finding: str, values: dict[str, list[float | None]]) -> None:
        """Keep the single values of a finding, rounded to a hundredth."""
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

    def start(self, stack: ExitStack, rig: Rig, kind: Kind, sink: str | None = None) -> Started | None:
        """Start a peer until the stack ends; None, and the reason kept, if it does not start."""
        try:
            return stack.enter_context(rig.started(kind, sink=sink or rig.ear.sink))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            self.left_out[kind.name] = reason
            self.tell(f"{kind.name} is left out: {reason}")
            return None
