"""Reads the journal of version 0.1.0: lines of JSON with a checksum, the last word of each thing counts."""

from __future__ import annotations

import contextlib
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.storage.schema import Changes, Key, OutcomeRecord, PendingAnnouncement, ValueKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD = b'{"crc":"'
_START = len(_HEAD) + 8 + 2


class _Stamp(msgspec.Struct, tag_field="is", tag="journal"):
    """The lines that follow date by a wall clock which is `offset` more than the monotonic one of `boot`."""

    boot: str
    offset: float


class _Accepted(msgspec.Struct, tag_field="is", tag="accepted"):
    id: str
    target: str
    payload: bytes
    urgency: Urgency
    at: float
    ttl: float
    speakers: tuple[str, ...]
    held: dict[str, float] = {}
    stood: dict[str, float] = {}


class _Ended(msgspec.Struct, tag_field="is", tag="ended"):
    key: Key | None = None
    finished: float | None = None
    outcome: dict[str, Any] | None = None


class _Held(msgspec.Struct, tag_field="is", tag="held"):
    key: Key
    held: bool
    at: float


class _Switched(msgspec.Struct, tag_field="is", tag="switched"):
    speaker: str
    values: dict[str, bool | int | float]


_Line: TypeAlias = _Stamp | _Accepted | _Ended | _Held | _Switched
_decoder: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)


def find(state_dir: Path) -> Path | None:
    """Return the journal that is still to be imported."""
    journal = state_dir / "journal" / "journal.jsonl"
    return journal if journal.exists() else None


def mark_of(journal: Path) -> str:
    """Return what tells one content from another, so that a crash does not import the same twice."""
    return f"{zlib.crc32(journal.read_bytes()):08x}"


def set_aside(journal: Path) -> None:
    """Rename it, so that it is not imported again."""
    journal.replace(journal.with_name("journal.imported.jsonl"))


def read(journal: Path, boot: str, offset: float) -> Changes:
    """Return what the journal holds; `offset` is by how much wall seconds are more than monotonic ones now."""
    found = _Journal()
    for line in _lines(journal.read_bytes()):
        found.apply(line)
    if found.stamp is not None and found.stamp.boot == boot:
        offset = found.stamp.offset
    return found.changes(offset)


def _lines(data: bytes) -> Iterator[_Line]:
    for text in data.split(b"\n"):
        body = b"{" + text[_START:]
        if text and text == b'%b%08x",%b' % (_HEAD, zlib.crc32(body), body[1:]):
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield _decoder.decode(body)


class _Journal:
    """The sum of the journal's lines; times are wall seconds of the last stamp."""

    def __init__(self) -> None:
        self.stamp: _Stamp | None = None
        self._pending: dict[Key, PendingAnnouncement] = {}
        self._outcomes: list[OutcomeRecord] = []
        self._values: dict[ValueKey, Any] = {}

    def apply(self, line: _Line) -> None:
        match line:
            case _Stamp():
                if self.stamp is not None and self.stamp.boot == line.boot:
                    self._move(line.offset - self.stamp.offset)
                self.stamp = line
            case _Accepted():
                for speaker in line.speakers:
                    self._pending[speaker, line.id] = _pending_of(line, speaker)
            case _Held() if (row := self._pending.get(line.key)) is not None:
                since = (line.at if row.held_since is None else row.held_since) if line.held else None
                expires = row.expires if line.held else row.expires_from(line.at)
                self._pending[line.key] = msgspec.structs.replace(row, expires=expires, held_since=since)
            case _Ended():
                self._end(line)
            case _Switched():
                self._values |= {("setting", line.speaker, key): value for key, value in line.values.items()}

    def changes(self, offset: float) -> Changes:
        """Return all of it with monotonic times."""
        outcomes = [msgspec.structs.replace(one, at=one.at - offset) for one in self._outcomes]
        return Changes(
            pending={key: row.moved(-offset) for key, row in self._pending.items()},
            outcomes=outcomes,
            values=self._values,
        )

    def _end(self, line: _Ended) -> None:
        if line.key is not None:
            self._pending.pop(line.key, None)
        told = line.outcome or {}
        if line.finished is None and not told:
            return
        speaker, id_ = line.key or (str(told.get("speaker")), str(told.get("id")))
        self._outcomes.append(
            OutcomeRecord(
                at=_seconds_of(told) if line.finished is None else line.finished,
                speaker=speaker,
                id=id_,
                type=str(told.get("event_type", "finished")),
                told_at=str(told.get("at", "")),
                event=msgspec.json.encode(told) if told else None,
            )
        )

    def _move(self, by: float) -> None:
        self._pending = {key: row.moved(by) for key, row in self._pending.items()}
        self._outcomes = [msgspec.structs.replace(one, at=one.at + by) for one in self._outcomes]


def _pending_of(line: _Accepted, speaker: str) -> PendingAnnouncement:
    return PendingAnnouncement(
        id=line.id,
        speaker=speaker,
        target=line.target,
        payload=line.payload,
        urgency=line.urgency,
        received=line.at,
        due=line.at,
        expires=line.at + line.ttl + line.stood.get(speaker, 0.0),
        held_since=line.held.get(speaker),
    )


def _seconds_of(outcome: dict[str, Any]) -> float:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(str(outcome.get("at"))).timestamp()
    return 0.0
