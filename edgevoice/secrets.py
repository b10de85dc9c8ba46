"""Where secrets come from: a named file, a systemd credential, the environment; never the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice import logs
from edgevoice.config.meaning import key_file

if TYPE_CHECKING:
    from edgevoice.config import Settings

API_KEY_VARIABLE = "SMALLEST_API_KEY"


def api_key(settings: Settings) -> str | None:
    """The API key, or None where there is none; it is hidden from every log from here on.

    A key file that is named and unusable was told as a mistake when the configuration was checked.
    """
    key = _from_file(key_file(settings.core.lightning, settings.file)) or credential("api_key")
    key = key or os.environ.get(API_KEY_VARIABLE, "").strip() or None
    if key:
        logs.hide(key)
    return key


def credential(name: str) -> str | None:
    """What systemd hands over under `name` (LoadCredential=), or None."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return _from_file(Path(folder) / name) if folder else None


def _from_file(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
