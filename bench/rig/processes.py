"""Child processes of a run: starting them, ending them with all of theirs, and what they take of the machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ENDS_WITHIN = 5.0
MEGABYTE = 2**20


def started(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, answers: bool = False
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; what it prints goes to `log`, with `answers` to its pipe."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if answers else file,
            stderr=file,
            start_new_session=True,
        )


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN)
    if process.stdout is not None:
        process.stdout.close()


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it that are there now."""
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    return []


def memory(pid: int) -> float:
    """Megabytes that a tree has for itself, with its part of what it shares (PSS)."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / MEGABYTE


def memory_alone(pid: int) -> float:
    """Megabytes that a tree would have if no other process had any of its files open.

    What several of its processes map of a file is counted once; PSS divides it by all who map it, also by those
    of the bench. So it is no less than the PSS on a machine that runs nothing else of the kind.
    """
    total, files = 0, dict[str, int]()
    for process in tree(pid):
        with contextlib.suppress(psutil.Error):
            for mapping in process.memory_maps(grouped=True):
                is_file = mapping.path.startswith("/")
                total += mapping.private_dirty if is_file else mapping.pss
                if is_file:
                    clean = mapping.rss - mapping.private_dirty
                    files[mapping.path] = max(files.get(mapping.path, 0), clean)
    return (total + sum(files.values())) / MEGABYTE


def wake_ups(pid: int) -> int:
    """How often the threads of a tree were given the processor so far."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.Error, OSError):
            total += sum(_switches(process.pid, thread.id) for thread in process.threads())
    return total


def _switches(pid: int, thread: int) -> int:
    with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as file:  # noqa: PTH123  read often
        return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
