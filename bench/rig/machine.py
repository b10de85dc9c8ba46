"""The machine of a run, and the versions of its software."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import psutil

from edgevoice import __version__

#: Programs, and the Debian package that has each.
NEEDED = {
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "pacat": "pulseaudio-utils",
    "parec": "pulseaudio-utils",
    "mosquitto": "mosquitto",
    "openssl": "openssl",
}


def missing() -> list[str]:
    """Return the required Debian packages that are not installed."""
    return sorted({package for program, package in NEEDED.items() if shutil.which(program) is None})


def machine() -> dict[str, str]:
    """Return processor, cores, memory, system and load."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", info, re.MULTILINE)
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": _system(),
        "kernel": platform.release(),
        "load": f"{os.getloadavg()[0]:.1f} at the start",
    }


def versions() -> dict[str, str]:
    """Return the versions of the software in every run."""
    return {
        "edgevoice": __version__,
        "python": platform.python_version(),
        "pulseaudio": _says("pulseaudio", "--version"),
        "mosquitto": _says("mosquitto", "-h"),
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _says(*command: str) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else "unknown"
