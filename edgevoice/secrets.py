"""Where secrets come from: a named file, a systemd credential, the environment; never the configuration."""

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
    """The API key, or None where there is none; it is hidden from every log from here on.

    A key file that is named and unusable was told as a mistake when the configuration was checked.
    """
    # systemd's credential first: under it the service's own user may not be able to read the named file.
    key = systemd_credential("api_key") or read_secret_file(key_file(settings.core.lightning, settings.file))
    key = key or os.environ.get(API_KEY_VARIABLE, "").strip() or None
    if key:
        logs.register_secret(key)
    return key


def key_file(lightning: Lightning, file: Path | None) -> Path | None:
    """The file that holds the API key; a relative one lies beside the configuration."""
    return None if lightning.api_key_file is None else relative_to_config(lightning.api_key_file, file)


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
