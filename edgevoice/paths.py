"""Paths: the state folder, the spool for long clips, and paths in the configuration."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.errors import ClipError, ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Iterable

_OCTAL = re.compile(r"\\([0-7]{3})")
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def state_dir(configured: str | None) -> Path:
    """Return the state folder, created if necessary: the configured one, systemd's, or the user's.

    Raises:
        ConfigError: the folder cannot be created or written.
    """
    folder = find_state_dir(configured)
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        message = f"cannot write {folder}: {why}; set `state_dir` to a folder that the daemon may write"
        raise ConfigError([ConfigIssue("state_dir", message)]) from None
    return folder


def find_state_dir(configured: str | None) -> Path:
    """Return the path of the state folder, whether it exists or not."""
    if configured:
        return Path(configured)
    if systemd := os.environ.get("STATE_DIRECTORY"):
        return Path(systemd.split(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/edgevoice")
    from platformdirs import user_state_path  # noqa: PLC0415 - only needed here

    return user_state_path("edgevoice")


class SpoolDir:
    """The folder for audio beyond the memory limit: the state folder, or the spare one if that is a RAM disk."""

    def __init__(self, state: Path, *, spare: Path = Path("/var/tmp")) -> None:  # noqa: S108 - on disk by definition
        self._folders = (state, spare)

    def __call__(self) -> Path:
        """Return the first folder that is on a disk and writable.

        Raises:
            ClipError: there is none.
        """
        mounts = mount_table()
        for folder in self._folders:
            if filesystem(folder, mounts) not in _IN_MEMORY and os.access(folder, os.W_OK):
                return folder
        named = " and ".join(str(folder) for folder in self._folders)
        raise ClipError(
            f"no disk for a long announcement: {named} are in memory or not writable; set `state_dir`"
        )


def mount_table() -> list[tuple[str, str]]:
    """Return mount points and their file system types, in the order mounted (proc(5), mountinfo)."""
    try:
        lines = (
            Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        )
    except OSError:
        return []
    return [mount for line in lines if (mount := _mount(line)) is not None]


def filesystem(folder: Path, mounts: Iterable[tuple[str, str]]) -> str | None:
    """Return the type of the file system that a folder is on."""
    real = folder.resolve()
    best: tuple[int, str] | None = None
    for point, kind in mounts:
        if real.is_relative_to(point) and (best is None or len(point) >= best[0]):
            best = (len(point), kind)
    return best[1] if best else None


def _mount(line: str) -> tuple[str, str] | None:
    before, separator, after = line.partition(" - ")
    fields = before.split(" ")
    if not separator or len(fields) < 5:
        return None
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]), after.split(" ")[0]


def relative_to_config(path: str, file: Path | None) -> Path:
    """Resolve a path of the configuration, relative to the folder of its file."""
    named = expanded(path)
    return named if named.is_absolute() or file is None else file.parent / named


def expanded(path: str) -> Path:
    """Expand `~` in a path, where possible."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for an unknown user
