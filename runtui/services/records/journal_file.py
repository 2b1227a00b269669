"""The SQLite file of journal, drafts and triage for all Graph roots, shared by several runtui; and a lock file for
each of their processes, which shows whether it is alive.

Invariant: nothing written is lost. Schema steps only add. A broken file is set aside under a new name, never
overwritten. A file of a newer version is left alone, and nothing is sent. A connection detects that its file is no
longer the one at its path: SQLite itself goes on with a file that was deleted or replaced.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args
from uuid import uuid4

from runtui.domain.report import KnownBy, Outcome
from runtui.errors import RuntuiError
from runtui.private_files import (
    BUSY_SECONDS,
    FileIds,
    create_private,
    explanation,
    files_at,
    is_locked,
    lock,
    locked_folder,
    private_database,
    private_folder,
    remove_log_of,
    set_aside_database,
    size_and_time,
    sqlite_code,
)

LOCK_SUFFIX: Final = ".lock"

_ID: Final = re.compile("[0-9a-f]{32}")

KEPT_LOCK_SECONDS: Final = 86_400.0
"""The age from which the lock file of an ended session is deleted."""

STEPS: Final = (
    (
        """
        CREATE TABLE entry (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            client_request_id TEXT NOT NULL UNIQUE,
            session TEXT NOT NULL,
            opened_at TEXT NOT NULL,
            who TEXT NOT NULL, profile TEXT NOT NULL, tenant TEXT NOT NULL, root TEXT NOT NULL,
            workflow_id TEXT NOT NULL, workflow_name TEXT NOT NULL, run_id TEXT NOT NULL,
            method TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,
            before TEXT NOT NULL, after TEXT NOT NULL,
            if_match TEXT, undoes INTEGER REFERENCES entry,
            sends INTEGER NOT NULL DEFAULT 1,
            ended_at TEXT, outcome TEXT, known_by TEXT NOT NULL DEFAULT '',
            status INTEGER, reason TEXT NOT NULL DEFAULT '', request_id TEXT NOT NULL DEFAULT '',
            seconds REAL, words TEXT NOT NULL DEFAULT '', response TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX entry_of_run ON entry (root, run_id)",
        "CREATE INDEX entry_undoes ON entry (undoes) WHERE undoes IS NOT NULL",
        "CREATE INDEX entry_unsettled ON entry (root) WHERE outcome IS NULL OR outcome = 'unknown'",
        """
        CREATE TABLE draft (
            root TEXT NOT NULL, run_id TEXT NOT NULL, workflow_id TEXT NOT NULL, mode TEXT NOT NULL,
            received TEXT NOT NULL, edits TEXT NOT NULL, changed_at TEXT NOT NULL,
            PRIMARY KEY (root, run_id)
        ) WITHOUT ROWID
        """,
    ),
    ("ALTER TABLE entry ADD COLUMN checksum INTEGER",),
    (
        "ALTER TABLE entry ADD COLUMN batch TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX entry_of_batch ON entry (batch) WHERE batch != ''",
    ),
    ("ALTER TABLE entry ADD COLUMN why TEXT NOT NULL DEFAULT ''",),
    ("ALTER TABLE entry ADD COLUMN new_run TEXT NOT NULL DEFAULT ''",),
    (
        """
        CREATE TABLE triage (
            server TEXT NOT NULL, run_id TEXT NOT NULL,
            seen INTEGER NOT NULL DEFAULT 0,
            state TEXT NOT NULL DEFAULT '', until INTEGER NOT NULL DEFAULT 0,
            was_status TEXT NOT NULL DEFAULT '', was_failed_users INTEGER NOT NULL DEFAULT 0,
            was_failed_tasks INTEGER NOT NULL DEFAULT 0, was_updated INTEGER NOT NULL DEFAULT 0,
            was_problem INTEGER NOT NULL DEFAULT 0,
            note TEXT NOT NULL DEFAULT '', who TEXT NOT NULL DEFAULT '', changed INTEGER NOT NULL DEFAULT 0,
            stamp INTEGER NOT NULL UNIQUE,
            PRIMARY KEY (server, run_id)
        ) WITHOUT ROWID
        """,
    ),
    (
        "ALTER TABLE triage ADD COLUMN marked INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE triage ADD COLUMN marked_by TEXT NOT NULL DEFAULT ''",
        "UPDATE triage SET marked = changed, marked_by = who WHERE state != ''",
    ),
)
"""The statements from each version of the schema to the next; the first n steps create version n."""

_TABLES: Final = ("draft", "entry", "triage")


class JournalError(RuntuiError):
    """The journal cannot be read or written; a write that cannot be recorded is not sent."""

    def __init__(self, path: Path, reason: object, cure: str = "") -> None:
        what, cure = explanation(path, reason, cure)
        super().__init__("The journal cannot be used", what, f"{cure} Nothing is sent without the journal.")


def broken_journal(aside: Path) -> RuntuiError:
    """Return the message for a broken journal that was set aside as `aside`."""
    what = f"It was set aside as {aside}, and a new one was started."
    return RuntuiError("The journal was broken", what, "What it held is not shown; keep the file if you need it.")


class JournalConnection(sqlite3.Connection):
    """A connection that detects whether its files are still at their paths.

    It detects a file that was deleted, renamed (also with its folder), replaced, truncated or overwritten, and a
    deleted log (`-wal`) or index (`-shm`).
    """

    path: Path
    set_aside: Path | None = None
    """The new path of the broken file that was moved away when this connection was opened; None if there was none."""
    _files: FileIds = (None, None, None)
    _size: int = 0
    _written: tuple[int, int] = (0, 0)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query. Text that is not UTF-8 is read with surrogates: it damages only its own row."""
        try:
            return self.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            self.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            try:
                return self.execute(query, values).fetchall()
            finally:
                self.text_factory = str

    def settle_on(self, path: Path) -> None:
        """Remember the files now at a path as the files of this connection."""
        self.path = path
        self._files = files_at(path)
        self.note_own_write()

    def note_own_write(self) -> None:
        """Remember the current size and time of the file as the result of an own write."""
        self._size, _ = self._written = size_and_time(self.path)

    @property
    def is_touched(self) -> bool:
        """True if another runtui or another program wrote the file since `note_own_write`."""
        return size_and_time(self.path) != self._written

    @property
    def needs_restart(self) -> bool:
        """True if only the log or its index is lost.

        SQLite shares both within the process, so a new connection would not help. The last connection that closes
        writes their content into the file.
        """
        found = files_at(self.path)
        return found[0] == self._files[0] and found != self._files

    @property
    def _is_cut_short(self) -> bool:
        return files_at(self.path) == self._files and size_and_time(self.path)[0] < self._size

    def let_go(self) -> Path | None:
        """Close the connection. If the file was moved, its log is written into it first.

        A truncated file is set aside, and its new path returned: SQLite would start it again, with a new log, while
        other connections use it. None if it is not truncated.
        """
        aside = None
        with suppress(OSError):
            if self._is_cut_short:
                with locked_folder(self.path.parent):
                    aside = _set_aside(self.path) if self._is_cut_short else None
        if files_at(self.path)[0] != self._files[0]:
            with suppress(sqlite3.Error):
                self.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with suppress(OSError):
                remove_log_of(self.path, self._files)
        self.close()
        return aside

    def check(self) -> None:
        """Check that a write goes into the file at the path.

        Raises:
            JournalError: it would not; the file was moved, replaced or truncated, or its log was deleted.
        """
        if self.needs_restart:
            reason = "a file that belongs to it (-wal, -shm) was deleted while runtui had it open"
            raise JournalError(self.path, reason, "Leave runtui and start it again.")
        if files_at(self.path) != self._files:
            reason = "the file was deleted, moved or replaced while runtui had it open"
        elif self._is_cut_short:
            reason = "the file was cut short while runtui had it open"
        else:
            return
        raise JournalError(self.path, reason, FILE_GONE_HINT)


FILE_GONE_HINT: Final = "Put it back, or send the change again: a file at that path, or a new one, then records it."
"""The next step if the file was moved, replaced or deleted."""


def open_journal(path: Path, *, durable: bool) -> JournalConnection:
    """Open or create the file (0600 in a folder 0700) with all tables. A `durable` commit is on the disk itself when
    it returns (for intents). Any other commit is only with the system: it survives a killed process but not a loss of
    power (for drafts).

    Raises:
        JournalError: the file cannot be opened or created.
    """
    try:
        private_folder(path.parent)
        # Without the lock, a second process that found the file broken could set aside the first one's new file.
        with locked_folder(path.parent):
            try:
                return _open_sound(path, durable)
            except sqlite3.DatabaseError as error:
                if sqlite_code(error) not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                    raise
                aside = _set_aside(path)
                db = _open_sound(path, durable)
                db.set_aside = aside
                return db
    except (OSError, sqlite3.Error) as error:
        raise JournalError(path, error) from error


def damaged_files(path: Path) -> list[Path]:
    """Return the broken files that were set aside, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*Z"))


def _open_sound(path: Path, durable: bool) -> JournalConnection:
    private_database(path)
    db = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=JournalConnection
    )
    synchronous: Literal["FULL", "NORMAL"] = "FULL" if durable else "NORMAL"
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise _broken(found)
        _bring_up_to_date(db, path)
        if _columns(db) != _expected_columns():
            raise _broken("its tables are not those of a journal")
        db.settle_on(path)
    except UnicodeDecodeError as error:  # Python's, of SQLite's message about a malformed schema
        db.close()
        raise _broken("its schema is malformed") from error
    except BaseException:
        db.close()
        raise
    return db


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    if _version(db) == len(STEPS):
        return
    db.execute("BEGIN IMMEDIATE")
    version = _version(db)
    if version > len(STEPS):
        raise JournalError(path, "it was written by a newer runtui", "Update this one.")
    for step in STEPS[version:]:
        for statement in step:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(STEPS)}")
    db.execute("COMMIT")


def _broken(reason: str) -> sqlite3.DatabaseError:
    """Return the error that SQLite itself raises for a corrupt file."""
    broken = sqlite3.DatabaseError(reason)
    broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return broken


def _columns(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Return each column of all our tables: table, name, type, NOT NULL, place in the primary key."""
    tables = [str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [
        (table, *tuple(column)[1:4], column[5])
        for table in tables
        if table in _TABLES
        for column in db.execute("SELECT * FROM pragma_table_info(?)", (table,))
    ]


@cache
def _expected_columns() -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:")) as db:
        for step in STEPS:
            for statement in step:
                db.execute(statement)
        return _columns(db)


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z")
    set_aside_database(path, aside)
    return aside


class SessionLock:
    """The lock file of this process in the folder of all sessions on one state folder.

    The system releases the lock when the process ends, however it ends. A session counts as ended only if its lock is
    free, so a write in progress in another process is never taken for a forgotten one.

    Raises:
        OSError: the folder cannot be written, or others have access to it.
    """

    def __init__(self, folder: Path) -> None:
        self.id = uuid4().hex
        self._folder = folder
        self._path = folder / (self.id + LOCK_SUFFIX)
        self._lock = self._take()
        self._sweep()

    def _take(self) -> int:
        private_folder(self._folder.parent)
        private_folder(self._folder)
        descriptor = create_private(self._path)
        lock(descriptor)
        return descriptor

    def acquire(self) -> None:
        """Lock a new file if the lock file was deleted or moved: else this process would count as ended.

        Raises:
            OSError: the folder cannot be written.
        """
        try:
            if os.path.samestat(self._path.stat(), os.fstat(self._lock)):
                return
            self._path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            pass  # `_take` creates what is missing
        lost, self._lock = self._lock, self._take()
        os.close(lost)

    def _sweep(self) -> None:
        """Delete old lock files of ended sessions. The owner of a new file may not have locked it yet."""
        for path in self._folder.glob(f"*{LOCK_SUFFIX}"):
            with suppress(FileNotFoundError):  # another runtui sweeps too
                if time.time() - path.stat().st_mtime > KEPT_LOCK_SECONDS:
                    self._is_free(path)

    def is_gone(self, session_id: str) -> bool:
        """Return True, and delete the lock file, if the process of another session has ended."""
        if not _ID.fullmatch(session_id):
            return True  # not a session's id: from a damaged journal it could name any file
        return self._is_free(self._folder / (session_id + LOCK_SUFFIX))

    def _is_free(self, path: Path) -> bool:
        """Return True, and delete the lock file, if no process holds it."""
        if path == self._path:
            return False
        try:
            if is_locked(path):
                return False
        except FileNotFoundError:
            return True
        path.unlink(missing_ok=True)
        return True

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._lock)


FIRST_YEAR: Final = 2000
"""No change is older than runtui."""

TEXTS: Final = (
    *("who", "profile", "tenant", "root", "workflow_id", "workflow_name", "run_id", "method", "url", "body"),
    *("client_request_id", "session", "known_by", "reason", "request_id", "words", "response", "batch", "why"),
    "new_run",
)
"""The columns that always hold text, possibly empty."""

_UNSEALED: Final = {"checksum", "undone_by", "undone_perhaps_by"}
"""The columns outside the checksum: the checksum itself, and those computed from other rows."""


class DamagedRowError(ValueError):
    """A row that differs from what was written. The message completes a sentence with the reason."""


def checksum(row: sqlite3.Row) -> int:
    """Return the CRC-32 over the names and values of a row.

    NULL and empty values are left out, so that a column added by a later version does not change older checksums.
    """
    texts = [f"{name}={row[name]}" for name in sorted({*row.keys()} - _UNSEALED) if row[name] not in (None, "")]
    return zlib.crc32("\0".join(texts).encode("utf-8", "surrogatepass"))


def facts_of(row: sqlite3.Row) -> dict[str, Any]:
    """Convert a row to the fields of an entry.

    Raises:
        DamagedRowError: the row differs from what was written.
    """
    if row["checksum"] is not None and row["checksum"] != checksum(row):
        raise DamagedRowError("its checksum does not fit what it holds")
    facts: dict[str, Any] = {}
    for name, read in _READERS.items():
        try:
            facts[name] = read(row[name])
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise DamagedRowError(f"this version of runtui cannot read its {name.replace('_', ' ')}") from None
    return facts


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.isascii():
        value.encode()  # raises for surrogates, which stand for bytes that were not UTF-8
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError
    return value


def _object(value: object) -> Mapping[str, Any]:
    found = json.loads(_read_text(value))
    if not isinstance(found, dict):
        raise TypeError
    return found


def _read_time(value: object) -> datetime:
    found = datetime.fromisoformat(_read_text(value))
    if found.utcoffset() is None or found.year < FIRST_YEAR:
        raise ValueError
    return found.astimezone(UTC)


def _known_by(value: object) -> str:
    if value not in get_args(KnownBy):
        raise ValueError
    return _read_text(value)


def _or_none(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


_READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    **dict.fromkeys(TEXTS, _read_text),
    **dict.fromkeys(("before", "after"), _object),
    "number": _number,
    **dict.fromkeys(("undoes", "status", "undone_by", "undone_perhaps_by"), _or_none(_number)),
    "if_match": _or_none(_read_text),
    "seconds": _or_none(_seconds),
    "opened_at": _read_time,
    "ended_at": _or_none(_read_time),
    "outcome": _or_none(Outcome),
    "known_by": _known_by,
}
"""The function that reads each field of an entry from the column of the same name."""
