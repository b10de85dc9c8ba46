"""The store: what was promised is on the disk before it is acknowledged, and is known after a restart.

The event loop notes changes in memory; one thread writes all that has come up in one transaction, and syncs
it if a promise waits for it. A disk that refuses or hangs is a fault and nothing else: the changes stay in
memory, and are written once the disk takes them. No call waits longer than its timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Self

import msgspec

from edgevoice.errors import ConfigError
from edgevoice.storage.database import Database
from edgevoice.storage.schema import (
    MAX_UNDELIVERED,
    Changes,
    DeliveryKey,
    Key,
    OutcomeRecord,
    PendingAnnouncement,
    Snapshot,
    ValueKey,
)
from edgevoice.storage.writer import Attempt, Timeouts, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from edgevoice.outcome import Event


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
        self._undelivered: dict[DeliveryKey, None] = {}
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._is_stalled = False
        self._snapshot: asyncio.Future[Snapshot] = asyncio.Future()
        self._first_attempt: asyncio.Future[Attempt] = asyncio.Future()
        loop = asyncio.get_running_loop()

        def report(attempt: Attempt) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: the disk hung for too long
                loop.call_soon_threadsafe(self._report, attempt)

        self._writer = Writer(self._database, self._everything, report, self._timeouts)

    async def __aenter__(self) -> Self:
        """Open the database; if that fails or takes too long, go on in memory with a fault.

        Raises:
            ConfigError: another process uses the folder.
        """
        self._writer.start()
        try:
            async with asyncio.timeout(self._timeouts.open_s):
                attempt = await asyncio.shield(self._first_attempt)
        except TimeoutError:
            self._stall()
            return self
        if isinstance(attempt.error, ConfigError):
            await self.__aexit__()
            raise attempt.error
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.stop()
        await asyncio.to_thread(self._writer.join, self._timeouts.close_s)

    # ---- what it knows -------------------------------------------------------------------------------

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

    # ---- what it is told -----------------------------------------------------------------------------

    def put(self, rows: Iterable[PendingAnnouncement]) -> asyncio.Future[None]:
        """Keep announcements until their outcome; done when they would survive a power cut, or cannot."""
        changes = Changes(pending={row.key: row for row in rows})
        self._pending |= {key: row for key, row in changes.pending.items() if row is not None}
        return self._promise(self._writer.add(changes, durable=True))

    def forget(self, rows: Iterable[PendingAnnouncement]) -> None:
        """Drop announcements that a crash may lose: from here on they are in memory only."""
        changes = Changes(pending={row.key: None for row in rows})
        for key in changes.pending:
            self._pending.pop(key, None)
        self._writer.add(changes)

    def reschedule(
        self, speaker: str, id_: str, *, due: float, expires: float, held_since: float | None
    ) -> None:
        """Note when a pending announcement is due and expires, and since when it is held; ignore any other."""
        row = self._pending.get((speaker, id_))
        if row is not None and (row.due, row.expires, row.held_since) != (due, expires, held_since):
            row = msgspec.structs.replace(row, due=due, expires=expires, held_since=held_since)
            self._pending[row.key] = row
            self._writer.add(Changes(pending={row.key: row}))

    def record(self, event: Event, *, text: str | None = None, observers: Iterable[str] = ()) -> None:
        """Keep an outcome in the history, and for each of `observers` until it has delivered it.

        `text` is what was announced; None if it is private, or the history has no texts.
        """
        told = {
            key: value
            for key, value in msgspec.to_builtins(event).items()
            if value is not None and value != []
        }
        record = OutcomeRecord(
            at=self._monotonic(),
            speaker=event.speaker,
            id=event.id,
            type=str(event.event_type),
            told_at=event.at.isoformat(),
            event=msgspec.json.encode(told),
            text=text,
            observers=tuple(observers),
        )
        changes = Changes(outcomes=[record])
        key = (event.speaker, event.id)
        if self._pending.pop(key, None) is not None or not self.is_loaded:
            changes.pending[key] = None
        for observer in record.observers:
            self._expect_delivery(_delivery_key(observer, event), changes)
        self._writer.add(changes)

    def delivered(self, observer: str, event: Event) -> None:
        """Note that an observer has delivered an outcome."""
        key = _delivery_key(observer, event)
        if key in self._undelivered or not self.is_loaded:
            self._undelivered.pop(key, None)
            self._writer.add(Changes(delivered={key: None}))

    def set_setting(self, speaker: str, key: str, value: object) -> None:
        """Keep a setting of a speaker, as a JSON value."""
        self._set("setting", speaker, key, value)

    def set_value(self, namespace: str, key: str, value: object) -> None:
        """Keep a learned value: whatever msgspec writes as JSON."""
        self._set("kv", namespace, key, value)

    def _set(self, table: str, owner: str, key: str, value: object) -> None:
        value = msgspec.json.decode(msgspec.json.encode(value))  # as it is after a restart
        if self._values.get((table, owner, key), self) != value:
            self._values[table, owner, key] = value
            self._writer.add(Changes(values={(table, owner, key): value}))

    def flush(self) -> asyncio.Future[None]:
        """Done when all that it was told would survive SIGKILL, or cannot."""
        return self._promise(self._writer.add(Changes(), urgent=True))

    # ---- the writer ----------------------------------------------------------------------------------

    def _promise(self, ticket: int) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if self._is_stalled:
            done.set_result(None)
            return done
        self._waiting[done] = ticket
        timer = loop.call_later(self._timeouts.commit_s, self._stall)
        done.add_done_callback(lambda _: timer.cancel())
        return done

    def _stall(self) -> None:
        """The disk does not answer: let no caller wait for it until it does."""
        self._is_stalled = True
        self._resolve(upto=None)
        self._fault("storage", f"{self._database.path}: the disk does not answer; {_AT_RISK}")

    def _report(self, attempt: Attempt) -> None:
        if not self._first_attempt.done():
            self._first_attempt.set_result(attempt)
        if attempt.snapshot is not None and not self._snapshot.done():
            self._snapshot.set_result(self._absorb(attempt.snapshot))
        self._is_stalled = False
        if isinstance(attempt.error, ConfigError):
            self._fault("storage", str(attempt.error))
        elif attempt.error is not None:
            self._fault("storage", f"{self._database.path}: {_why(attempt.error)}; {_AT_RISK}")
        elif attempt.trouble is not None:
            self._fault("storage", attempt.trouble)
        elif attempt.is_durable:
            self._fault("storage", None)
        self._resolve(upto=attempt.ticket)

    def _resolve(self, *, upto: int | None) -> None:
        for future, ticket in list(self._waiting.items()):
            if upto is None or ticket <= upto:
                del self._waiting[future]
                if not future.done():
                    future.set_result(None)

    def _absorb(self, snapshot: Snapshot) -> Snapshot:
        """Take over what the database held; what was set since the start is newer."""
        new = [row for row in snapshot.pending if row.key not in self._pending]
        self._pending = {row.key: row for row in new} | self._pending
        self._values = snapshot.values | self._values
        earlier = dict.fromkeys(_delivery_key(observer, event) for observer, event in snapshot.undelivered)
        self._undelivered = earlier | self._undelivered
        return dataclasses.replace(snapshot, pending=tuple(new), values=dict(self._values))

    def _everything(self) -> Changes:
        """Return what a new file must hold; called by the writer's thread, so that only copies are made."""
        return Changes(pending={**self._pending}, values=self._values.copy())

    def _expect_delivery(self, key: DeliveryKey, changes: Changes) -> None:
        self._undelivered[key] = None
        if len(self._undelivered) <= MAX_UNDELIVERED:
            return
        of_observer = [known for known in self._undelivered if known[0] == key[0]]
        for known in of_observer[:-MAX_UNDELIVERED]:
            del self._undelivered[known]
            changes.delivered[known] = None


_AT_RISK = "what waits now may be lost at a restart"


def _delivery_key(observer: str, event: Event) -> DeliveryKey:
    return observer, event.speaker, event.id, event.at.isoformat()


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
