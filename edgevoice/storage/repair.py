"""Repair of a database that is damaged, or of a newer version: it is set aside, never deleted."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevoice.storage.schema import TABLES, open_read_only

if TYPE_CHECKING:
    from collections.abc import Callable

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: Files that are set aside at most; the last one is replaced.
_MAX_ASIDE = 9


def check(connection: sqlite3.Connection) -> None:
    """Look at every page of a database.

    Raises:
        sqlite3.DatabaseError: it is damaged.
    """
    [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def is_damage(error: BaseException) -> bool:
    """Return whether an error says that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def salvage(path: Path, connect: Callable[..., sqlite3.Connection]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of a damaged database that can be read, by table."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(open_read_only(path, connect)) as connection,
    ):
        for table in TABLES:
            rows = found.setdefault(table, [])
            with contextlib.suppress(sqlite3.Error, ValueError):
                rows.extend(connection.execute(f"SELECT * FROM {table}"))  # noqa: S608
    return found


def set_aside(path: Path, mark: str) -> Path:
    """Rename a database and the files that belong to it; return its new name."""
    for number in range(1, _MAX_ASIDE + 1):
        aside = path.with_suffix(f".{mark}{f'-{number}' if number > 1 else ''}.db")
        if not aside.exists():
            break
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    return aside
