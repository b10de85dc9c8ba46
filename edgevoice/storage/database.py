"""The SQLite file: opened, repaired, read whole once, and written in transactions.

Every method may block, and raises `sqlite3.Error` or `OSError`.
See docs/decisions/storage.md for durability, damage, and what happens to times when the clock is set.

Length: everything that knows SQLite is here.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.errors import ConfigError, ConfigIssue, EdgeVoiceError
from edgevoice.outcome import Event
from edgevoice.storage.import_journal import read_journal
from edgevoice.storage.schema import (
    CLOCK_STEP_S,
    DEDUPLICATION_S,
    FILE,
    HISTORY,
    MAX_FINISHED,
    MAX_UNDELIVERED,
    MIGRATIONS,
    TABLES,
    VERSION,
    Changes,
    PendingAnnouncement,
    Snapshot,
    ValueKey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Outcomes between two deletions of old ones.
TRIM_EVERY = 50
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: Files that are set aside at most; the last one is replaced.
_MAX_ASIDE = 9
_PUT = (
    "INSERT OR REPLACE INTO pending VALUES (:id, :speaker, :target, :topic, :payload, :urgency, :received,"
    " :due, :expires, :held_since)"
)
_PUT_OUTCOME = "INSERT INTO outcome (at, speaker, id, type, event, text) VALUES (:at, :speaker, :id, :type, :event, :text)"
_PUT_UNDELIVERED = "INSERT OR REPLACE INTO outbox VALUES (:observer, :speaker, :id, :told_at, :event)"
_PUT_VALUE = {table: f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)" for table in ("setting", "kv")}  # noqa: S608
logger = logging.getLogger(__name__)


class Database:
    """A SQLite file in `folder`, which one process has for itself; one call at a time, from any thread.

    `now` and `monotonic` are the two clocks; `connect` is `sqlite3.connect`, or a test's own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.path = folder / FILE
        self._folder = folder
        self._now = now
        self._monotonic = monotonic
        self._connect = connect
        self._boot = _boot_id()
        #: The file's times minus monotonic times, in seconds; None until the file was read.
        self._stamp: float | None = None
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._untrimmed = 0

    def open(self) -> str | None:
        """Open the file, or make it; return a sentence for the user if it had to be replaced.

        Raises:
            ConfigError: another process uses the folder.
        """
        self._disconnect()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_folder()
        damaged: Path | None = None
        trouble: str | None = None
        try:
            connection, version = self._open_file()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            damaged = self._set_aside("damaged")
            trouble = f"{self.path} was damaged: it lies in {damaged}, and what can be read of it is used"
            connection, version = self._open_file()
        if version > VERSION:
            connection.close()
            aside = self._set_aside(f"version-{version}")
            trouble = f"a newer edgevoice wrote {self.path}: it lies in {aside}, and is not used"
            connection, version = self._open_file()
        try:
            self._prepare(connection, version, damaged)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._inode = self.path.stat().st_ino
        try:
            self._import_journal()
        except OSError as error:
            logger.warning("the journal of version 0.1 is not taken over: %s", error)
        return trouble

    def load(self) -> Snapshot:
        """Read what is there, without rows that cannot be understood."""
        return self._read(self._opened)

    def load_read_only(self) -> Snapshot:
        """Read what is there on a disk that cannot be written."""
        with contextlib.closing(_open_read_only(self.path, self._connect)) as connection:
            self._stamp = self._stamp_of(connection)
            return self._read(connection)

    def write(self, changes: Changes, *, durable: bool) -> None:
        """Write all of it in one transaction; if `durable`, return when it would survive a power cut."""
        connection = self._opened
        if self.path.stat().st_ino != self._inode:
            raise FileNotFoundError(2, "The file was replaced", str(self.path))
        # A sync of the write-ahead log covers what was committed before it without one.
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        with _transaction(connection):
            self._follow_clock(connection)
            self._write(connection, changes)

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the database is not open")
        return self._connection

    def close(self) -> None:
        """Close the file, and leave the folder to others."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    # ---- opening -------------------------------------------------------------------------------------

    def _lock_folder(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            message = f"another edgevoice uses {self._folder}: stop it, or choose another folder"
            raise ConfigError([ConfigIssue("state_dir", message)]) from None
        except OSError:
            pass  # a file system without locks
        self._lock = lock

    def _open_file(self) -> tuple[sqlite3.Connection, int]:
        # SQLite gives its other files the mode of this one.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = self._connect(
            self.path, timeout=1.0, isolation_level=None, cached_statements=32, check_same_thread=False
        )
        try:
            # Small pages: an outcome of 500 bytes rewrites 2 kB rather than 8 kB of an SD card.
            for pragma in ("page_size = 1024", "cache_size = -256", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA journal_size_limit = 1048576")
            [version] = connection.execute("PRAGMA user_version").fetchone()
            _check(connection)
        except BaseException:
            connection.close()
            raise
        return connection, version

    def _set_aside(self, mark: str) -> Path:
        """Rename the file and those that belong to it; it is never deleted. Returns its new name."""
        for number in range(1, _MAX_ASIDE + 1):
            aside = self.path.with_suffix(f".{mark}{f'-{number}' if number > 1 else ''}.db")
            if not aside.exists():
                break
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
        return aside

    def _prepare(self, connection: sqlite3.Connection, version: int, damaged: Path | None) -> None:
        # What an earlier connection could not sync is synced now, and not appended to.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA synchronous = FULL")
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            with _transaction(connection):
                for statement in filter(str.strip, script.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        with _transaction(connection):
            if damaged is not None:
                self._salvage(damaged, connection)
            self._stamp = self._stamp_of(connection)
            self._follow_clock(connection)
            self._trim(connection)

    def _salvage(self, damaged: Path, connection: sqlite3.Connection) -> None:
        """Take over the rows of a damaged database that can be read."""
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(_open_read_only(damaged, self._connect)) as source,
        ):
            for table in TABLES:
                with contextlib.suppress(sqlite3.Error, ValueError):
                    for row in source.execute(f"SELECT * FROM {table}"):  # noqa: S608
                        with contextlib.suppress(sqlite3.Error):
                            places = ", ".join("?" * len(row))
                            connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", row)  # noqa: S608

    def _import_journal(self) -> None:
        """Take over, once, what version 0.1.0 kept."""
        journal = self._folder / "journal" / "journal.jsonl"
        if not journal.exists():
            return
        content = journal.read_bytes()
        # In the transaction of what is imported: a crash before the rename must not import it twice.
        key, checksum = ("kv", "import", "journal"), f"{zlib.crc32(content):08x}"
        if dict(_values(self._opened)).get(key) != checksum:
            changes = read_journal(content, self._boot, self._now() - self._monotonic())
            changes.values[key] = checksum
            self.write(changes, durable=True)
        journal.replace(journal.with_name("journal.imported.jsonl"))

    # ---- the two clocks ------------------------------------------------------------------------------

    def _stamp_of(self, connection: sqlite3.Connection) -> float | None:
        """Return by how much the times in the file are more than the monotonic ones of this boot, if it tells."""
        known = dict(connection.execute("SELECT key, value FROM kv WHERE namespace = 'clock'"))
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return float(known["offset"]) if known["boot"] == self._boot else None
        return None

    def _follow_clock(self, connection: sqlite3.Connection) -> None:
        """Move all times along if the wall clock was set, so that ages stay as they are."""
        now, offset, known = self._now(), self._now() - self._monotonic(), self._stamp
        if known is not None and abs(offset - known) <= CLOCK_STEP_S:
            return
        if known is not None:
            step = offset - known
            connection.execute(
                "UPDATE pending SET received_at = received_at + ?1, due_at = due_at + ?1,"
                " expires_at = expires_at + ?1, held_since = held_since + ?1",
                (step,),
            )
            connection.execute("UPDATE outcome SET at = at + ?", (step,))
        else:
            # After a boot into the past nothing has a negative age: it is spoken again rather than not at all.
            ahead = "(received_at - ?1)"
            connection.execute(
                f"UPDATE pending SET due_at = due_at - {ahead}, expires_at = expires_at - {ahead},"  # noqa: S608
                f" held_since = held_since - {ahead}, received_at = ?1 WHERE received_at > ?1",
                (now,),
            )
        for key, value in (("boot", self._boot), ("offset", repr(offset))):
            connection.execute("INSERT OR REPLACE INTO kv VALUES ('clock', ?, ?)", (key, value))
        self._stamp = offset

    @property
    def _offset(self) -> float:
        return self._now() - self._monotonic() if self._stamp is None else self._stamp

    # ---- rows ----------------------------------------------------------------------------------------

    def _read(self, connection: sqlite3.Connection) -> Snapshot:
        offset = self._offset
        now = offset + self._monotonic()
        pending = []
        for row in connection.execute("SELECT * FROM pending ORDER BY received_at, rowid"):
            try:
                fields = dict(zip(PendingAnnouncement.__struct_fields__, row, strict=True))
                pending.append(msgspec.convert(fields, PendingAnnouncement).moved(-offset))
            except (ValueError, TypeError) as error:
                logger.warning("%s: a row of `pending` cannot be read: %s", self.path, error)
        finished = connection.execute(
            "SELECT speaker, id, at FROM outcome WHERE type = 'finished' AND at > ? AND at < ? ORDER BY seq",
            (now - DEDUPLICATION_S, now + DEDUPLICATION_S),
        )
        return Snapshot(
            pending=tuple(pending),
            finished={(speaker, id_): at - offset for speaker, id_, at in finished},
            undelivered=tuple(_undelivered(connection)),
            values=dict(_values(connection)),
        )

    def _write(self, connection: sqlite3.Connection, changes: Changes) -> None:
        offset = self._offset
        for (speaker, id_), row in changes.pending.items():
            if row is None:
                connection.execute("DELETE FROM pending WHERE id = ? AND speaker = ?", (id_, speaker))
            else:
                connection.execute(_PUT, msgspec.structs.asdict(row.moved(offset)))
        for outcome in changes.outcomes:
            fields = msgspec.structs.asdict(outcome)
            connection.execute(_PUT_OUTCOME, fields | {"at": outcome.at + offset})
            for observer in outcome.observers:
                connection.execute(_PUT_UNDELIVERED, fields | {"observer": observer})
        connection.executemany(
            "DELETE FROM outbox WHERE observer = ? AND speaker = ? AND id = ? AND at = ?", changes.delivered
        )
        for (table, owner, key), value in changes.values.items():
            connection.execute(_PUT_VALUE[table], (owner, key, msgspec.json.encode(value)))
        self._untrimmed += len(changes.outcomes)
        if self._untrimmed >= TRIM_EVERY:
            self._trim(connection)

    def _trim(self, connection: sqlite3.Connection) -> None:
        """Drop the events of all but the last outcomes, the ids that are no longer needed, and old deliveries."""
        self._untrimmed = 0
        [last] = connection.execute("SELECT coalesce(max(seq), 0) FROM outcome").fetchone()
        connection.execute(
            "UPDATE outcome SET event = NULL, text = NULL WHERE seq <= ? AND event IS NOT NULL",
            (last - HISTORY,),
        )
        connection.execute(
            "DELETE FROM outcome WHERE event IS NULL AND (type <> 'finished' OR at < ? OR seq <= ?)",
            (self._now() - DEDUPLICATION_S, last - MAX_FINISHED),
        )
        connection.execute(
            "DELETE FROM outbox WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER"
            " (PARTITION BY observer ORDER BY rowid DESC) AS age FROM outbox) WHERE age > ?)",
            (MAX_UNDELIVERED,),
        )


def _check(connection: sqlite3.Connection) -> None:
    """Look at every page, and raise the error of a damaged file if one is wrong."""
    [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def is_damage(error: BaseException) -> bool:
    """Return whether an error says that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


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

    `since` is UTC seconds; `text` is a part of what was announced, in any case. The daemon may run or not.

    Raises:
        EdgeVoiceError: the database cannot be read.
    """
    try:
        with contextlib.closing(_open_read_only(path)) as connection:
            rows = connection.execute(
                "SELECT speaker, type, at, event, text FROM outcome WHERE event IS NOT NULL ORDER BY seq"
            ).fetchall()
    except sqlite3.Error as error:
        raise EdgeVoiceError(f"{path} cannot be read: {error}") from None
    found = []
    for of, type_, at, event, announced in rows:
        with contextlib.suppress(ValueError, TypeError, AttributeError):  # salvaged from a damaged file
            is_wanted = speaker in {None, of} and outcome in {None, type_} and at >= since
            if text is not None:
                is_wanted &= announced is not None and text.casefold() in announced.casefold()
            if is_wanted:
                told = msgspec.json.decode(event, type=dict[str, Any])
                found.append(told if announced is None else told | {"text": announced})
    return found[-last:]


def _open_read_only(
    path: Path, connect: Callable[..., sqlite3.Connection] = sqlite3.connect
) -> sqlite3.Connection:
    """Open a database for reading alone, also where the disk cannot be written.

    Raises:
        sqlite3.Error: it is missing, damaged, or may not be read.
    """
    # Without write access SQLite needs the files of the write-ahead log; a clean end leaves none of them.
    for how in ("mode=ro", "immutable=1"):
        connection = connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=2.0, isolation_level=None)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema")
        except sqlite3.Error as error:
            connection.close()
            failure = error
        else:
            connection.text_factory = lambda text: text.decode(errors="replace")
            return connection
    raise failure


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _undelivered(connection: sqlite3.Connection) -> Iterator[tuple[str, Event]]:
    for observer, event in connection.execute("SELECT observer, event FROM outbox ORDER BY rowid"):
        with contextlib.suppress(ValueError, TypeError):
            yield observer, msgspec.json.decode(event, type=Event)


def _values(connection: sqlite3.Connection) -> Iterator[tuple[ValueKey, Any]]:
    for row in connection.execute(
        "SELECT 'setting', speaker, key, value FROM setting UNION ALL"
        " SELECT 'kv', namespace, key, value FROM kv WHERE namespace <> 'clock'"
    ):
        with contextlib.suppress(ValueError, TypeError):
            yield row[:3], msgspec.json.decode(row[3])


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex  # like no other
