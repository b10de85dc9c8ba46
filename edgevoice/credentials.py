"""Secrets in files: those that are named, and those that systemd hands over."""

from __future__ import annotations

import os
from pathlib import Path


def systemd_credential(name: str) -> str | None:
    """What systemd hands over under `name` (LoadCredential=), or None."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return read_secret_file(Path(folder) / name) if folder else None


def read_secret_file(file: Path | None) -> str | None:
    """The secret that a file holds; None where there is none to be read."""
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
