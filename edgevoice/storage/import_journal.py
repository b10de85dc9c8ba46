"""Reads the journal of version 0.1.0: lines of JSON with a checksum, of several lines about one thing the last counts."""

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


def read_journal(content: bytes, boot: str, offset: float) -> Changes:
    """Return what a journal holds, with times in monotonic seconds.

    `offset` is by how much wall seconds are more than monotonic ones now, in this `boot`.
    """
    found = _Journal()
    for line in _lines(content):
        found.apply(line)
    stamp = found.stamp
    found.move(-(stamp.offset if stamp is not None and stamp.boot == boot else offset))
    return Changes(pending={**found.pending}, outcomes=found.outcomes, values=found.values)


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
        self.pending: dict[Key, PendingAnnouncement] = {}
        self.outcomes: list[OutcomeRecord] = []
        self.values: dict[ValueKey, Any] = {}

    def apply(self, line: _Line) -> None:
        match line:
            case _Stamp():
                if self.stamp is not None and self.stamp.boot == line.boot:
                    self.move(line.offset - self.stamp.offset)
                self.stamp = line
            case _Accepted():
                self.pending |= {(speaker, line.id): _pending_of(line, speaker) for speaker in line.speakers}
            case _Held() if (row := self.pending.get(line.key)) is not None:
                since = (line.at if row.held_since is None else row.held_since) if line.held else None
                expires = row.expires if line.held else row.expires_from(line.at)
                self.pending[line.key] = msgspec.structs.replace(row, expires=expires, held_since=since)
            case _Ended():
                self.pending.pop(line.key or ("", ""), None)
                if line.finished is not None or line.outcome:
                    self.outcomes.append(_outcome_of(line, line.outcome or {}))
            case _Switched():
                self.values |= {("setting", line.speaker, key): value for key, value in line.values.items()}

    def move(self, by: float) -> None:
        self.pending = {key: row.moved(by) for key, row in self.pending.items()}
        self.outcomes = [msgspec.structs.replace(one, at=one.at + by) for one in self.outcomes]


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


def _outcome_of(line: _Ended, told: dict[str, Any]) -> OutcomeRecord:
    at = line.finished
    if at is None:
        with contextlib.suppress(ValueError):
            at = datetime.fromisoformat(str(told.get("at"))).timestamp()
    speaker, id_ = line.key or (str(told.get("speaker")), str(told.get("id")))
    return OutcomeRecord(
        at=at or 0.0,
        speaker=speaker,
        id=id_,
        type=str(told.get("event_type", "finished")),
        told_at=str(told.get("at", "")),
        event=msgspec.json.encode(told) if told else None,
    )
