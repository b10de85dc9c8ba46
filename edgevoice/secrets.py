"""Secrets: from a systemd credential, a named file or the environment, never from the configuration itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice import logs
from edgevoice.paths import relative_to_config

if TYPE_CHECKING:
    from edgevoice.config import Settings
    from edgevoice.config.options import Lightning

API_KEY_VARIABLE = "SMALLEST_API_KEY"


def api_key(settings: Settings) -> str | None:
    """Return the API key, or None. From here on every log redacts it.

    A key file that cannot be used was reported when the configuration was checked.
    """
    # systemd's credential first: the service's user may not be able to read the file.
    key = systemd_credential("api_key") or read_secret_file(key_file(settings.core.lightning, settings.file))
    key = key or os.environ.get(API_KEY_VARIABLE, "").strip() or None
    if key:
        logs.register_secret(key)
    return key


def key_file(lightning: Lightning, file: Path | None) -> Path | None:
    """Return the file of the API key, if one is configured."""
    return None if lightning.api_key_file is None else relative_to_config(lightning.api_key_file, file)


def systemd_credential(name: str) -> str | None:
    """Return the systemd credential (LoadCredential=) of this name, or None."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return read_secret_file(Path(folder) / name) if folder else None


def read_secret_file(file: Path | None) -> str | None:
    """Return the secret in a file; None if the file is missing, unreadable or empty."""
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
