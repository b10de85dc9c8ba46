"""The journal: what was promised to be said is on disk before it is acknowledged, and is known after a restart."""

from __future__ import annotations

import asyncio
import time
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.journal.file import Contents, JournalFile, line
from edgevoice.journal.state import (
    VERSION,
    Ended,
    Holding,
    JournalState,
    Kept,
    Key,
    Record,
    Stamp,
    Switched,
)
from edgevoice.journal.writer import LARGEST, JournalWriter
from edgevoice.outcome import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Journal", "Kept"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STEP = 1.0
"""Seconds by which the two clocks drift apart before it counts as the wall clock having been set."""

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class Journal:
    """Keeps in `folder` what must outlive the process; a disk that refuses is a fault and nothing else.

    `now` and `monotonic` are the two clocks: where they drift apart the wall clock was set, and the times
    of what is kept are set with it. `fault` is told of the part "journal". Only to be used when entered.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fault: Callable[[str, str | None], None],
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fault = partial(fault, "journal")
        self._now = now
        self._monotonic = monotonic
        self._boot = _boot_id()
        self._file = JournalFile(folder)
        self._state = JournalState()
        self._writer: JournalWriter | None = None

    async def __aenter__(self) -> Self:
        """Read and repair what is there; where that cannot even be read, keep all in memory.

        Raises:
            ConfigError: another process keeps its journal in the folder.
        """
        writer = JournalWriter(self._file, self._alive, self._fault)
        try:
            contents = await asyncio.to_thread(self._file.open)
            trouble = await asyncio.to_thread(self._read, contents)
        except OSError as error:
            self._state = JournalState()
            self._fault(writer.sentence(error))
            return self
        self._writer = writer
        if trouble is None and 0 < contents.size <= LARGEST:
            writer.begin(contents.size)
            self._put(self._stamp())
        else:
            self._state.apply(self._stamp())
            await writer.rewrite()
        if trouble and not writer.behind:
            self._fault(trouble)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            await self._writer.close()
        self._file.close()

    @property
    def pending(self) -> tuple[Kept, ...]:
        """What has not ended, oldest first, even if its ttl is over: it is for the caller to end it."""
        return self._state.pending()

    @property
    def finished(self) -> dict[Key, float]:
        """When each (speaker, id) of high and critical finished, within the last day."""
        return self._state.finished_lately(self._now())

    @property
    def switches(self) -> Mapping[str, Mapping[str, bool | float]]:
        """What `switch` was told, by speaker."""
        return self._state.switches

    @property
    def history(self) -> list[dict[str, Any]]:
        """The last 500 outcomes, oldest first, without keys that are null or an empty list."""
        return list(self._state.history)

    async def accept(self, kept: Kept) -> None:
        """Return when it is on the disk, or the fault is raised because it cannot be."""
        self.note(kept)
        await self.durable()

    def note(self, kept: Kept) -> None:
        """Know it from now on; it is on its way to the disk."""
        self._put(kept)

    async def durable(self) -> None:
        """Return when all that was noted so far is on the disk, or the fault is raised because it cannot be."""
        if self._writer is not None:
            await self._writer.durable()

    def end(self, speaker: str, id: str, urgency: Urgency, outcome: Mapping[str, Any]) -> None:  # noqa: A002
        """An announcement ended on a speaker; `outcome` is its event as a plain JSON object."""
        brief = {key: value for key, value in outcome.items() if value is not None and value != []}
        if urgency.rank < Urgency.HIGH.rank and self._state.kept((speaker, id)) is None:
            self._put(Ended(outcome=brief))
            return
        finished = self._now() if outcome.get("event_type") == EventType.FINISHED else None
        kept = self._state.kept((speaker, id))
        record = Ended(key=(speaker, id), finished=finished, outcome=brief)
        self._put(record, purge=kept is not None and kept.private)

    def hold(self, id: str, speaker: str, held: bool) -> None:  # noqa: A002
        """A speaker holds an announcement, or does so no more; of no effect for one that is not kept."""
        if self._state.kept((speaker, id)) is not None:
            self._put(Holding((speaker, id), held, self._now()))

    def switch(self, speaker: str, **values: float) -> None:
        """The volume, mute or dnd of a speaker was set."""
        self._put(Switched(speaker, values))

    async def written(self) -> None:
        """Return when all that was told so far would outlive SIGKILL."""
        if self._writer is not None:
            await self._writer.written()

    def _put(self, record: Record, *, purge: bool = False) -> None:
        stamp = self._stamp()
        known = self._state.stamp
        if known is not None and abs(stamp.offset - known.offset) > STEP:
            self._add(stamp)
        self._add(record, purge=purge)

    def _add(self, record: Record, *, purge: bool = False) -> None:
        self._state.apply(record)
        if self._writer is not None:
            self._writer.put(line(_encode(record)), purge=purge)

    def _alive(self) -> Iterator[bytes]:
        return map(_encode, list(self._state.records(self._now())))

    def _stamp(self) -> Stamp:
        return Stamp(VERSION, self._boot, self._now() - self._monotonic())

    def _read(self, contents: Contents) -> str | None:
        """Take in what the file held; a sentence about what was lost of it."""
        lost, lost_bytes = contents.lost, contents.lost_bytes
        for body in contents.bodies:
            record = _record(body)
            if record is None:
                lost, lost_bytes = lost + 1, lost_bytes + len(body)
            elif isinstance(record, Stamp) and record.version > VERSION:
                self._state = JournalState()
                aside = self._file.set_aside(f"version-{record.version}")
                return f"a newer edgevoice wrote the journal: it lies in {aside}, and is not used"
            else:
                self._state.apply(record)
        if not lost:
            return None
        lines = "1 line" if lost == 1 else f"{lost} lines"
        return f"{lines} ({lost_bytes} bytes) of {self._file.path} cannot be read; the rest is used"


def _record(body: bytes) -> Record | None:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex  # like no other
