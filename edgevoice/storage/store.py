"""The store: what was promised is on the disk before it is acknowledged, and is known after a restart.

The event loop notes changes in memory; one task writes all that has come up in one transaction, and syncs
it if a promise waits for it. A disk that refuses or hangs is a fault and nothing else: the changes stay in
memory, and are written once the disk takes them. No call waits longer than its timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.backoff import Backoff
from edgevoice.disk import in_thread
from edgevoice.errors import ConfigError
from edgevoice.storage.database import Database, is_damage
from edgevoice.storage.schema import (
    MAX_UNWRITTEN,
    Changes,
    Key,
    OutcomeRecord,
    PendingAnnouncement,
    Snapshot,
    ValueKey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from edgevoice.outcome import Event

_AT_RISK = "what waits now may be lost at a restart"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the disk is waited for, in seconds."""

    #: Opening the database and reading it, at start.
    open_s: float = 5.0
    #: A promised write; after it the sender is told all the same, and a fault says so.
    commit_s: float = 5.0
    #: Writing what is left, at the end.
    close_s: float = 5.0
    #: The pause after a failure, doubled each time up to `max_retry_s`, so that it does not wear the disk.
    retry_s: float = 5.0
    max_retry_s: float = 300.0


class Store:
    """Keeps in `folder` what must outlive the process; use as `async with`.

    `fault` is told of the part "storage". `now` and `monotonic` are the two clocks: if they drift apart, the
    wall clock was set, and the stored times are moved with it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fault: Callable[[str, str | None], None],
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._database = Database(folder, now=now, monotonic=monotonic, connect=connect)
        self._fault = fault
        self._monotonic = monotonic
        self._timeouts = timeouts or Timeouts()
        self._pending: dict[Key, PendingAnnouncement] = {}
        self._values: dict[ValueKey, Any] = {}
        #: The changes that the next transaction writes, whether it must be synced, and the promises that wait for it.
        self._changes = Changes()
        self._is_durable = False
        self._promises: list[asyncio.Future[None]] = []
        #: The promises of the transaction that is being written.
        self._taken: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._is_open = self._is_failing = self._is_stalled = self._is_stopping = False
        self._snapshot: asyncio.Future[Snapshot] = asyncio.Future()
        self._first_result: asyncio.Future[Exception | None] = asyncio.Future()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the database; if that fails or takes too long, go on in memory with a fault.

        Raises:
            ConfigError: another process uses the folder.
        """
        self._writer = asyncio.create_task(self._write_all(), name="storage")
        self._wake.set()
        try:
            async with asyncio.timeout(self._timeouts.open_s):
                error = await asyncio.shield(self._first_result)
        except TimeoutError:
            self._stall()
            return self
        if isinstance(error, ConfigError):
            await self.__aexit__()
            raise error
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_stopping = True
        self._wake.set()
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=self._timeouts.close_s)
            self._writer.cancel()

    # ---- Queries --------------------------------------------------------------------------------------

    @property
    def pending(self) -> Mapping[Key, PendingAnnouncement]:
        """Return the announcements without an outcome, by speaker and id, in order of arrival."""
        return self._pending

    @property
    def is_loaded(self) -> bool:
        """Whether the database could be read."""
        return self._snapshot.done()

    async def snapshot(self) -> Snapshot:
        """Return what an earlier process left, once the database can be read."""
        return await asyncio.shield(self._snapshot)

    def settings(self, speaker: str) -> dict[str, Any]:
        """Return the settings of a speaker that were set."""
        return self._values_of("setting", speaker)

    def values(self, namespace: str) -> dict[str, Any]:
        """Return the values that were learned under a namespace, by key."""
        return self._values_of("kv", namespace)

    def _values_of(self, table: str, owner: str) -> dict[str, Any]:
        return {key[2]: value for key, value in self._values.items() if key[:2] == (table, owner)}

    # ---- Changes ---------------------------------------------------------------------------------------

    def put(self, rows: Iterable[PendingAnnouncement]) -> asyncio.Future[None]:
        """Keep announcements until their outcome; done when they would survive a power cut, or cannot."""
        for row in rows:
            self._keep(row)
        self._is_durable = True
        return self.flush()

    def forget(self, rows: Iterable[PendingAnnouncement]) -> None:
        """Drop announcements that a crash may lose: from here on they are in memory only."""
        for row in list(rows):
            self._drop(row.key)
        self._note()

    def reschedule(
        self, speaker: str, id_: str, *, due: float, expires: float, held_since: float | None
    ) -> None:
        """Note when a pending announcement is due and expires, and since when it is held; ignore any other."""
        row = self._pending.get((speaker, id_))
        if row is not None and (row.due, row.expires, row.held_since) != (due, expires, held_since):
            self._keep(msgspec.structs.replace(row, due=due, expires=expires, held_since=held_since))
            self._note()

    def record(self, event: Event, *, text: str | None = None, observers: Iterable[str] = ()) -> None:
        """Keep an outcome in the history, and for each of `observers` until it has delivered it.

        `text` is what was announced; None if it is private, or the history has no texts.
        """
        told = {
            key: value
            for key, value in msgspec.to_builtins(event).items()
            if value is not None and value != []
        }
        self._changes.outcomes.append(
            OutcomeRecord(
                at=self._monotonic(),
                speaker=event.speaker,
                id=event.id,
                type=str(event.event_type),
                told_at=event.at.isoformat(),
                event=msgspec.json.encode(told),
                text=text,
                observers=tuple(observers),
            )
        )
        key = (event.speaker, event.id)
        if key in self._pending or not self.is_loaded:
            self._drop(key)
        self._note()

    def delivered(self, observer: str, event: Event) -> None:
        """Note that an observer has delivered an outcome."""
        if event.urgency.rank >= Urgency.HIGH.rank:  # no other is kept for it
            self._changes.delivered[observer, event.speaker, event.id, event.at.isoformat()] = None
            self._note()

    def set_setting(self, speaker: str, key: str, value: object) -> None:
        """Keep a setting of a speaker, as a JSON value."""
        if self._set("setting", speaker, key, value):
            self._note()

    def set_value(self, namespace: str, key: str, value: object) -> None:
        """Keep a learned value, whatever msgspec writes as JSON; it is written with the next other change."""
        self._set("kv", namespace, key, value)

    def _set(self, table: str, owner: str, key: str, value: object) -> bool:
        value = msgspec.json.decode(msgspec.json.encode(value))  # as it is after a restart
        if self._values.get((table, owner, key), self) == value:
            return False
        self._values[table, owner, key] = self._changes.values[table, owner, key] = value
        return True

    def _keep(self, row: PendingAnnouncement) -> None:
        self._pending[row.key] = self._changes.pending[row.key] = row

    def _drop(self, key: Key) -> None:
        self._pending.pop(key, None)
        self._changes.pending[key] = None

    def flush(self) -> asyncio.Future[None]:
        """Done when all that it was told would survive SIGKILL, or cannot."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if self._is_stalled:
            done.set_result(None)
        else:
            self._promises.append(done)
            timer = loop.call_later(self._timeouts.commit_s, self._stall)
            done.add_done_callback(lambda _: timer.cancel())
        self._wake.set()
        return done

    # ---- Writing -------------------------------------------------------------------------------------

    def _note(self) -> None:
        """Have the changes written; after a failure only once it is time for that."""
        # That a disk hangs is only noticed once a promise waits for it.
        is_late = len(self._changes.outcomes) > MAX_UNWRITTEN
        if self._is_failing or self._is_stalled or is_late:
            self._changes.shorten()
        if not self._is_failing:
            self._wake.set()

    async def _write_all(self) -> None:
        """Open the database, write what comes up until the store is closed, and close it.

        After a failure the file is opened again at once, then after growing pauses, and whenever a caller
        waits for a write.
        """
        backoff = Backoff(self._timeouts.retry_s, self._timeouts.max_retry_s)
        while not self._is_stopping or self._changes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff.next_delay_s() if self._is_failing else None):
                    await self._wake.wait()
            self._wake.clear()
            is_last = self._is_stopping
            changes, self._changes = self._changes, Changes()
            is_durable, self._is_durable = self._is_durable, False
            self._taken, self._promises = self._promises, []
            error = await self._write(changes, is_durable=is_durable)
            if error is not None and not self._is_failing:
                logger.warning("%s: %s; it is opened again", self._database.path, error)
                error = await self._write(changes, is_durable=is_durable)
            if error is not None:
                await self._keep_back(changes, error)
            elif self._is_failing:
                backoff.reset()
                self._wake.set()  # for changes that were not worth another attempt
            self._is_failing, self._is_stalled = error is not None, False
            if not self._first_result.done():
                self._first_result.set_result(error)
            self._resolve(self._taken)
            if is_last:
                break
        self._resolve(self._promises)
        await in_thread(self._database.close)

    async def _write(self, changes: Changes, *, is_durable: bool) -> Exception | None:
        """Write changes to the database, which is opened and read before if necessary; return what failed."""
        trouble = None
        try:
            if not self._is_open:
                trouble = await in_thread(self._database.open)
                # After a failure it is unknown what the disk has. What was set later counts.
                pending = self._pending | changes.pending | self._pending
                changes = dataclasses.replace(changes, pending=pending, values=dict(self._values))
                self._is_open = is_durable = True
            await in_thread(self._database.write, changes, durable=is_durable)
            if not self.is_loaded:
                self._absorb(await in_thread(self._database.load))
        except Exception as error:  # noqa: BLE001 - reported
            self._is_open = False
            return error
        if is_durable:
            self._fault("storage", trouble)
        return None

    async def _keep_back(self, changes: Changes, error: Exception) -> None:
        """Report that changes could not be written, and keep them for the next time."""
        # The same write may succeed later if the disk was the cause.
        if isinstance(error, OSError | ConfigError | sqlite3.OperationalError) or is_damage(error):
            changes.extend(self._changes)
            self._changes = changes
        else:
            # A row that cannot be written must not keep back all that comes after it.
            logger.error("changes are not stored", exc_info=error)
        if not self.is_loaded:
            with contextlib.suppress(OSError, sqlite3.Error):
                self._absorb(await in_thread(self._database.load_read_only))
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        is_refused = isinstance(error, ConfigError)
        self._fault("storage", why if is_refused else f"{self._database.path}: {why}; {_AT_RISK}")

    def _absorb(self, snapshot: Snapshot) -> None:
        """Take over what the database held; what was set or ended since the start is newer."""
        known = self._pending.keys() | self._changes.pending.keys()
        new = tuple(row for row in snapshot.pending if row.key not in known)
        self._pending = {row.key: row for row in new} | self._pending
        self._values = snapshot.values | self._values
        self._snapshot.set_result(dataclasses.replace(snapshot, pending=new, values=dict(self._values)))

    def _stall(self) -> None:
        """The disk does not answer: let no caller wait for it until it does."""
        self._is_stalled = True
        self._resolve(self._taken + self._promises)
        self._fault("storage", f"{self._database.path}: the disk does not answer; {_AT_RISK}")

    def _resolve(self, promises: list[asyncio.Future[None]]) -> None:
        for done in promises:
            if not done.done():
                done.set_result(None)
