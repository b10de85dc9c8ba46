"""Reads the last outcomes from the database, whether a daemon runs or not."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.errors import EdgeVoiceError
from edgevoice.storage.schema import open_read_only

if TYPE_CHECKING:
    from pathlib import Path

_decoder = msgspec.json.Decoder(dict[str, Any])
_QUERY = """
    SELECT event, text FROM outcome
    WHERE event IS NOT NULL AND (:speaker IS NULL OR speaker = :speaker)
    AND (:outcome IS NULL OR type = :outcome) AND at >= :since
    AND (:text IS NULL OR contains(text, :text)) ORDER BY seq DESC LIMIT :last
"""


def read_history(
    path: Path,
    *,
    last: int,
    speaker: str | None = None,
    outcome: str | None = None,
    since: float = 0.0,
    text: str | None = None,
) -> list[dict[str, Any]]:
    """Return the `last` outcomes that match, oldest first, with `text` where it was kept.

    `since` is UTC seconds; `text` is a part of what was announced, in any case.

    Raises:
        EdgeVoiceError: the database cannot be read.
    """
    wanted = {"last": last, "speaker": speaker, "outcome": outcome, "since": since, "text": text}
    try:
        with contextlib.closing(open_read_only(path)) as connection:
            connection.create_function("contains", 2, _contains)
            rows = connection.execute(_QUERY, wanted).fetchall()
    except sqlite3.Error as error:
        raise EdgeVoiceError(f"{path} cannot be read: {error}") from None
    found = []
    for event, announced in reversed(rows):
        with contextlib.suppress(ValueError, TypeError):  # salvaged from a damaged file
            found.append(_decoder.decode(event) | ({} if announced is None else {"text": announced}))
    return found


def _contains(text: str | None, part: str) -> bool:
    return text is not None and part.casefold() in text.casefold()
