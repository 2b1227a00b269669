"""The file under the store: its tables and indexes, and how it is opened.

Invariant: opening never fails because of what is in the file. The runs in it are a copy of what the server has, so a
file that is no database, or one of another version, is set aside under another name and begun anew.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from runtui.domain.columns import Column
from runtui.domain.rows import INDEXED, RUN_COLUMNS, RunRow
from runtui.errors import RuntuiError
from runtui.private_files import NotPrivateError, private_database
from runtui.services.database_files import BUSY_SECONDS, FileIds, files_at, remove_log_of

VERSION: Final = 1
"""Of the tables below: raise it with every change that neither the columns nor the indexes of `run` show."""

RUN_TABLE: Final = ("rowid", "workflow_name", "workflow_key", *INDEXED)
"""The columns of the table of runs."""

_FOREIGN: Final = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}
"""SQLite's words for: this file is not ours (no database, a broken one, other tables)."""


class StoreError(RuntuiError):
    """The local store cannot be read or written: a full disk, a folder without permission."""

    def __init__(self, path: Path, reason: object) -> None:
        what, cure = f"{path}: {reason}.", "Make room or set RUNTUI_STATE to a folder of your own."
        if isinstance(reason, NotPrivateError):
            what, cure = reason.sentence, reason.cure
        super().__init__("The local store failed", what, cure)


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file for writing, 0600 in a folder 0700, with the tables of this version.

    Raises:
        StoreError: when there can be no such file.
    """
    try:
        try:
            return _open_private(path)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _FOREIGN:
                raise
            _set_aside(path)
            return _open_private(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(path, error) from error


def open_reader(path: Path) -> sqlite3.Connection:
    """Another connection to the same file, which never waits for the writer and cannot write."""
    db = _connect(path)
    db.execute("PRAGMA query_only = 1")
    return db


def open_again(path: Path, lost: sqlite3.Connection, files: FileIds) -> sqlite3.Connection:
    """A writer on the file that is at a path now, in place of one whose files were deleted, moved or replaced.

    Where there is none, what the lost one holds goes into a new file, as far as it can be read.

    Raises:
        StoreError: when there can be no such file.
    """
    try:
        if files_at(path)[0] == files[0]:
            _set_aside(path)  # its log was deleted; what SQLite knows of that one belongs to the process
        remove_log_of(path, files)
        is_new = not path.exists()
    except OSError as error:
        raise StoreError(path, error) from error
    db = open_writer(path)
    if is_new:
        with suppress(sqlite3.Error):
            lost.backup(db)
    return db


def order_terms(column: Column[RunRow]) -> tuple[tuple[str, bool], ...]:
    """A column's natural order as (field, descending), down to the row number, so that it is total.

    The row number runs as the first field does: that is the order in which an index holds equal entries.
    """
    terms = tuple((term.lstrip("-"), term.startswith("-")) for term in column.order)
    return (*terms, ("rowid", terms[0][1]))


def _open_private(path: Path) -> sqlite3.Connection:
    private_database(path)
    db = _connect(path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        if not _is_ours(db):
            # In a file of another version the names are taken: an SQL error, so that the file is set aside.
            for statement in _schema():
                db.execute(statement)
        db.execute("SELECT revision FROM state").fetchone()
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _is_ours(db: sqlite3.Connection) -> bool:
    """Whether a file has the tables of this version: its number, and the columns and orders of the list."""
    columns = {name for _, name, *_ in db.execute("PRAGMA table_info(run)")}
    orders = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE name GLOB 'run_by_*'")}
    version = db.execute("PRAGMA user_version").fetchone()[0]
    return version == VERSION and columns == set(RUN_TABLE) and orders.issuperset(_indexes())


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _set_aside(path: Path) -> None:
    path.replace(path.with_name(path.name + ".aside"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _schema() -> tuple[str, ...]:
    """All tables. The rows are apart from the JSON they come from, so that walking over them reads little."""
    columns = ", ".join(f"{name} NOT NULL" for name in RUN_TABLE[1:])
    return (
        f"CREATE TABLE run (rowid INTEGER PRIMARY KEY, {columns}, UNIQUE (id))",
        "CREATE TABLE body (rowid INTEGER PRIMARY KEY, raw TEXT NOT NULL)",
        "CREATE TABLE workflow (id TEXT PRIMARY KEY, name TEXT NOT NULL, raw TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE status_count (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE state (revision INTEGER NOT NULL)",
        "INSERT INTO state VALUES (0)",
        "CREATE INDEX run_by_workflow_id ON run (workflow_id)",
        *_indexes(),
        f"PRAGMA user_version = {VERSION}",
    )


def _indexes() -> tuple[str, ...]:
    """One index for each order of the list; the order of the ids is that of the unique ids."""
    return tuple(_index(column) for column in RUN_COLUMNS if column.order != ("id",))


def _index(column: Column[RunRow]) -> str:
    """The index of a column's order, with its first field ascending: SQLite reads it from either end."""
    *terms, (_, backward) = order_terms(column)
    fields = ", ".join(f"{field} DESC" if descending != backward else field for field, descending in terms)
    return f"CREATE INDEX run_by_{column.key} ON run ({fields})"
