"""The version of the installed package."""

from __future__ import annotations


def edgevoice_version() -> str:
    """Return the version, or "0" for a source tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes 20 ms

    try:
        return version("edgevoice")
    except PackageNotFoundError:
        return "0"
