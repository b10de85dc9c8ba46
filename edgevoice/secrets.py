"""Secrets: from a systemd credential, a named file or the environment, never from the configuration itself."""

from __future__ import annotations

import os
from pathlib import Path


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


def secret_problem(file: Path, what: str) -> str | None:
    """Return what is wrong with the file of a secret, such as an `API key`; None if it can be used.

    The sentence does not name the file: by mistake, its name may be the secret itself.
    """
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        return f"the file is no text: put the {what} into it"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        return f"the file cannot be read ({why}): write the {what} there, or leave the option out"
    if not secret:
        return f"the file is empty: put the {what} into it"
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        return f"the file holds more than one {what}: one line of printable characters"
    return None
