"""Paths: the state folder, the spool for long clips, and paths in the configuration."""

from __future__ import annotations

import os
from pathlib import Path

from edgevoice.errors import ClipError, ConfigError, ConfigIssue

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


def spool_dir(state: Path, *, spare: Path = Path("/var/tmp")) -> Path:  # noqa: S108 - on disk by definition
    """Return the folder for audio beyond the memory limit: of the two, the first on a disk and writable.

    Raises:
        ClipError: there is none.
    """
    in_memory = _devices_in_memory()
    for folder in (state, spare):
        if os.access(folder, os.W_OK) and _device(folder) not in in_memory:
            return folder
    raise ClipError(
        f"no disk for a long announcement: {state} and {spare} are in memory or not writable; set `state_dir`"
    )


def _devices_in_memory() -> set[str]:
    """Return the devices of the RAM disks, as `major:minor` (proc(5), mountinfo)."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return set()
    devices = set()
    for line in mounts.splitlines():
        mount, _, file_system = line.partition(" - ")
        if file_system.split(" ")[0] in _IN_MEMORY:
            devices.add(mount.split(" ")[2])
    return devices


def _device(folder: Path) -> str:
    device = folder.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def relative_to_config(path: str, file: Path | None) -> Path:
    """Resolve a path of the configuration, relative to the folder of its file."""
    named = expanded(path)
    return named if named.is_absolute() or file is None else file.parent / named


def expanded(path: str) -> Path:
    """Expand `~` in a path, where possible."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for an unknown user
