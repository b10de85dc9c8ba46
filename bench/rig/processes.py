"""Starts and stops child processes with their descendants, and measures their memory and context switches."""

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

STOP_TIMEOUT_S = 5.0
MEGABYTE = 2**20


def start(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, answers: bool = False
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; its output goes to `log`, with `answers` its stdout to a pipe."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if answers else file,
            stderr=file,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process group of a process that `start` started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    if process.stdout is not None:
        process.stdout.close()


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants."""
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    return []


def pss_mb(pid: int) -> float:
    """Return the proportional set size (PSS) of a process tree in megabytes."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / MEGABYTE


def memory_alone_mb(pid: int) -> float:
    """Return the megabytes of a process tree as if no other process mapped its files.

    PSS divides a mapped file by all processes that map it, also by those of the bench. Here a file that several
    processes of the tree map is counted once, so this is an upper bound of the PSS on a machine without a bench.
    """
    total, files = 0, dict[str, int]()
    for process in process_tree(pid):
        with contextlib.suppress(psutil.Error):
            for mapping in process.memory_maps(grouped=True):
                is_file = mapping.path.startswith("/")
                total += mapping.private_dirty if is_file else mapping.pss
                if is_file:
                    clean = mapping.rss - mapping.private_dirty
                    files[mapping.path] = max(files.get(mapping.path, 0), clean)
    return (total + sum(files.values())) / MEGABYTE


def context_switches(pid: int) -> int:
    """Return the context switches of all threads of a process tree so far."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(psutil.Error, OSError):
            total += sum(_switches(process.pid, thread.id) for thread in process.threads())
    return total


def _switches(pid: int, thread: int) -> int:
    with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as file:  # noqa: PTH123  read often
        return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
