"""The thread that writes the database: all that has come up in one transaction, again and again."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.errors import ConfigError
from edgevoice.storage.repair import is_damage
from edgevoice.storage.schema import Changes, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.storage.database import Database

_log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of the writes up to number `ticket`."""

    ticket: int
    is_durable: bool
    error: Exception | None = None
    #: A warning for the user about the opened file.
    trouble: str | None = None
    #: The content of the database, the first time it could be read.
    snapshot: Snapshot | None = None


class Writer(threading.Thread):
    """Opens the database, writes what is added, and closes it; `report` is called in this thread.

    `everything` returns what a new file must hold. After a failure the file is opened again at once, then
    after growing pauses, and whenever a write is added that a caller waits for.
    """

    def __init__(
        self,
        database: Database,
        everything: Callable[[], Changes],
        report: Callable[[Attempt], None],
        timeouts: Timeouts,
    ) -> None:
        # As a daemon: a disk that hangs must not keep the process from ending.
        super().__init__(name="storage", daemon=True)
        self._database = database
        self._everything = everything
        self._report = report
        self._timeouts = timeouts
        self._condition = threading.Condition()
        self._changes = Changes()
        self._ticket = 0
        self._is_durable = False
        self._is_urgent = True
        self._is_stopping = False
        self._is_read = False
        self._failures = 0

    def add(self, changes: Changes, *, durable: bool = False, urgent: bool = False) -> int:
        """Have changes written, on the disk if `durable`; return the number of the attempt that covers them."""
        with self._condition:
            self._changes.extend(changes)
            self._is_durable |= durable
            self._is_urgent |= durable or urgent
            self._ticket += 1
            self._condition.notify()
            return self._ticket

    def stop(self) -> None:
        """Write the remaining changes, close the database, and end."""
        with self._condition:
            self._is_stopping = True
            self._condition.notify()

    def run(self) -> None:
        while not self._is_stopping or self._changes:
            self._wait()
            is_last = self._is_stopping
            with self._condition:
                changes, self._changes = self._changes, Changes()
                ticket, is_durable = self._ticket, self._is_durable
                self._is_durable = self._is_urgent = False
            attempt = self._try(changes, ticket, is_durable=is_durable)
            if attempt.error is not None and not self._failures:
                _log.warning("%s: %s; it is opened again", self._database.path, attempt.error)
                attempt = self._try(changes, ticket, is_durable=is_durable)
            if attempt.error is not None:
                self._failures += 1
                if not self._is_read and (snapshot := self._database.load_read_only()) is not None:
                    self._is_read, attempt = True, dataclasses.replace(attempt, snapshot=snapshot)
                if _is_of_the_disk(attempt.error):
                    with self._condition:
                        changes.extend(self._changes)
                        self._changes = changes
                else:
                    # A row that cannot be written must not keep back all that comes after it.
                    _log.error("changes are not stored", exc_info=attempt.error)
            else:
                self._failures = 0
            self._report(attempt)
            if is_last:
                break
        self._database.close()

    def _wait(self) -> None:
        """Wait until there is something to write and it is time for it."""
        with self._condition:
            if not self._failures:
                self._condition.wait_for(lambda: self._changes or self._is_urgent or self._is_stopping)
                return
            pause = min(self._timeouts.retry_s * 2.0 ** (self._failures - 1), self._timeouts.max_retry_s)
            self._condition.wait_for(lambda: self._is_urgent or self._is_stopping, timeout=pause)

    def _try(self, changes: Changes, ticket: int, *, is_durable: bool) -> Attempt:
        trouble = None
        try:
            if not self._database.is_open:
                trouble = self._database.open()
                # In the order of what is known now; a change that was taken before is not newer than that.
                taken, changes, is_durable = changes, self._everything(), True
                changes.extend(taken)
                changes.extend(self._everything())
            if changes or is_durable:
                self._database.write(changes, durable=is_durable)
            snapshot = None if self._is_read else self._database.load()
            self._is_read = True
            return Attempt(ticket, is_durable, trouble=trouble, snapshot=snapshot)
        except Exception as error:  # noqa: BLE001 - reported
            self._database.disconnect()
            return Attempt(ticket, is_durable, error, trouble)


def _is_of_the_disk(error: Exception | None) -> bool:
    """Return whether the same write may succeed later."""
    if isinstance(error, OSError | ConfigError | sqlite3.OperationalError):
        return True
    return error is not None and is_damage(error)
