"""Where secrets come from: a named file, a systemd credential, the environment; never the configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgevoice import logs
from edgevoice.config.meaning import key_file
from edgevoice.credentials import read_secret_file, systemd_credential

if TYPE_CHECKING:
    from edgevoice.config import Settings

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
