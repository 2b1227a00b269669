"""The file of the store: its tables, how it is opened, and how runs are written into it.

Invariant: opening never fails because of the content of the file. Its runs are a copy of the server's data, so a file
that is no database, or has another version, is set aside under another name and created again. A run, its JSON and the
counts by status change together, in the caller's transaction; every change is noted in the `ChangedRuns` for the
announcement. An unchanged run is neither written nor noted.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import combinations, islice, repeat
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final, NamedTuple

from runtui.domain.columns import Column
from runtui.domain.rows import ACTIVE_SEVERITY, INDEXED, RUN_COLUMNS, RunRow, index_runs, storable
from runtui.errors import RuntuiError
from runtui.private_files import (
    BUSY_SECONDS,
    FileIds,
    create_private,
    explanation,
    files_at,
    locked_folder,
    private_database,
    private_folder,
    remove_log_of,
    size_and_time,
    sqlite_code,
)
from runtui.services.foreground import Foreground
from runtui.services.store.results import END_OF_ID, RESULT_TABLES, delete_results, kept_object, rows_of_runs
from runtui.services.triage.projection import TRIAGE_TABLE

# The SQL below is built from column names; every value from a server is a parameter.
# ruff: noqa: S608

VERSION: Final = 6
"""The version of the tables below: raise it with every change that the columns and indexes of `run` do not show."""

HISTORIES: Final = "histories"
_HISTORY_INDEX: Final = "CREATE INDEX run_by_workflow_id ON run (workflow_id, recency, severity, failed_users)"
"""The runs of a workflow by day, with everything that is counted."""

ACTIVE: Final = f"severity = {ACTIVE_SEVERITY}"
"""The condition for an active run."""

BY_ID: Final = "id"
_SEGMENT_BITS: Final = 11
_SEGMENT: Final = f"rowid >> {_SEGMENT_BITS}"
_ACTIVE_INDEX: Final = f"CREATE INDEX IF NOT EXISTS active_run ON run ({_SEGMENT}, severity, touched) WHERE {ACTIVE}"
"""The active runs by their last update: the stuck ones are counted with each change of the list."""

_SEGMENTS: Final = (
    f"CREATE INDEX run_of_segment ON run ({_SEGMENT}, {END_OF_ID})",
    _ACTIVE_INDEX,
    "ANALYZE run",
    f"INSERT INTO sqlite_stat1 VALUES ('run', 'run_of_segment', '1000000 {1 << _SEGMENT_BITS} 1')",
    "INSERT INTO sqlite_stat1 VALUES ('run', 'active_run', '50000 100 50 1')",
    "ANALYZE sqlite_schema",
)
"""The ids until their full index exists. In one index, a page of new runs, whose ids follow no order, would change
nearly every page; here it changes those of the last segment. The values in sqlite_stat1 make SQLite search each segment
("skip-scan")."""

_LISTING_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS listing (workflow_id TEXT PRIMARY KEY, as_of INTEGER NOT NULL,"
    " full_at INTEGER NOT NULL) WITHOUT ROWID"
)

RUN_TABLE: Final = ("rowid", *INDEXED, "workflow_name", "workflow_key")
"""The columns of the table of runs."""

MANY: Final = 100
"""More changed runs than this are announced as "many", without their ids."""

_PAGE_BYTES: Final = 8_192
"""Half as many system calls as with SQLite's 4096 bytes. Twice as many bytes take 3 % less time, and write 5 % more."""

_LOG_BYTES: Final = 4_000 * _PAGE_BYTES
"""The length of the log at which it is copied into the file and then begins again."""

_WRITING_KIB: Final = -2_000
"""The memory of a writer's page cache (negative: KiB): SQLite's default."""

_SORTING_KIB: Final = -5_000
"""The same while an index is built. SQLite merges 16 sorted parts of this size at once; larger indexes are written
twice: those of a million runs are not."""

_STATEMENTS: Final = 16
"""The statements that a connection keeps prepared, each with the values that were bound to it last. One for a long list
of runs takes hundreds of kilobytes: Python's 128 took 3 MB within minutes."""

_RUNS_IN_A_GO: Final = 128
"""Runs handled between two checks of the foreground: about a millisecond."""

_PLACES: Final = 1 << 22
_MARKS: Final = tuple(1 << a | 1 << b | 1 << c for a, b, c in combinations(range(8), 3))
"""An id is marked by three bits in each of two of these bytes: a million ids take 4 MiB."""

_STATUS: Final = INDEXED.index("status")
_LAST_UPDATED: Final = INDEXED.index("last_updated")

as_json: Final = json.JSONEncoder(separators=(",", ":")).encode
"""Return JSON in ASCII on one line, as compact as Graph's, so that an unchanged run usually has the same text."""

_PUT: Final = (
    f"INSERT INTO run ({', '.join(RUN_TABLE)}) VALUES ({', '.join('?' * len(RUN_TABLE))})"
    f" ON CONFLICT (rowid) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in RUN_TABLE[1:])}"
)
"""REPLACE would write every index of a run again, even if nothing in it changes."""

_DAMAGED: Final = ("malformed", "Could not decode", "not a database")
"""Messages about a damaged file: SQLite's about its pages and about JSON in it, Python's about text that is not
UTF-8."""

STORE_ERRORS: Final = (sqlite3.Error, JSONDecodeError, UnicodeDecodeError)
"""The errors of a file that cannot be used. Python raises the last two, about JSON and about text of the schema."""

_FOREIGN: Final = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}
"""SQLite's codes for a file that is not ours: no database, a broken one, other tables."""


class StoreError(RuntuiError):
    """The local store cannot be read or written: a full disk, a folder without permission, a damaged file."""

    def __init__(self, path: Path, reason: object, cure: str = "") -> None:
        what, cure = explanation(path, reason, cure)
        super().__init__("The local store failed", what, cure)


def store_error(path: Path, error: sqlite3.Error | ValueError) -> StoreError:
    """Return why the store failed. A damaged file gets a mark beside it, so that it is created again when it is next
    opened: a copy of the server's data must not block anybody."""
    is_damaged = isinstance(error, ValueError) or any(sign in str(error) for sign in _DAMAGED)
    if not is_damaged:
        return StoreError(path, error)
    with suppress(OSError):
        os.close(create_private(_note_of_damage(path)))
    return StoreError(path, error, "Start runtui again; it then reads all runs again.")


def _note_of_damage(path: Path) -> Path:
    return path.with_name(path.name + ".damaged")


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file for writing, 0600 in a folder 0700, with the tables of this version.

    Raises:
        StoreError: the file cannot be created.
    """
    try:
        private_folder(path.parent)
        # SQLite does not wait for another process that creates the file, or that sets it aside.
        with locked_folder(path.parent):
            if (note := _note_of_damage(path)).exists():
                with suppress(FileNotFoundError):
                    _set_aside(path)
                note.unlink(missing_ok=True)
            try:
                return _open_private(path)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if sqlite_code(error) not in _FOREIGN:
                    raise
                _set_aside(path)
                return _open_private(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(path, error) from error


def begin_write(db: sqlite3.Connection, path: Path) -> None:
    """Begin a transaction that writes. With an empty log it does not wait for the disk: SQLite would only ensure that a
    power failure leaves nothing old in the log."""
    has_log = size_and_time(path.with_name(path.name + "-wal"))[0] > 0
    db.execute(f"PRAGMA synchronous = {'NORMAL' if has_log else 'OFF'}")
    db.execute("BEGIN IMMEDIATE")


def open_reader(path: Path) -> sqlite3.Connection:
    """Return another connection to the same file, which cannot write and never waits for the writer. Its cache is
    small: each thread has one, and the system caches the pages of the file for all."""
    db = _connect(path)
    db.execute("PRAGMA query_only = 1")
    db.execute("PRAGMA cache_size = -256")  # KiB
    return db


def open_again(path: Path, lost: sqlite3.Connection, files: FileIds) -> sqlite3.Connection:
    """Open a writer on the file at the path, in place of one whose files were deleted, moved or replaced.

    If there is no file, the content of the lost one goes into a new file, as far as it can be read.

    Raises:
        StoreError: the file cannot be created.
    """
    try:
        if files_at(path)[0] == files[0]:
            _set_aside(path)  # its log was deleted; what SQLite knows of that log is shared within the process
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
    """Return a column's natural order as (field, descending), down to the row number, so that it is total. The row
    number has the direction of the first field, because that is how an index orders equal entries."""
    terms = tuple((term.lstrip("-"), term.startswith("-")) for term in column.order)
    return (*terms, ("rowid", terms[0][1]))


def _open_private(path: Path) -> sqlite3.Connection:
    private_database(path)
    db = _connect(path)
    try:
        if not path.stat().st_size:  # a new file has nothing to lose
            db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        # A listing changes the same index pages again and again: with few checkpoints a quarter less is written.
        db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_BYTES // _PAGE_BYTES}")
        # While somebody reads, the log cannot begin again: after a million runs it is 600 MB long.
        db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        # Some builds of SQLite write zeros over all that is deleted. The file is private, and what it has is no secret.
        db.execute("PRAGMA secure_delete = FAST")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        # In a file of another version the names are taken: that is an SQL error, and the file is set aside.
        for statement in () if version == VERSION and _has_our_runs(db) else _schema():
            db.execute(statement)
        for statement in (TRIAGE_TABLE, _LISTING_TABLE, _ACTIVE_INDEX):
            db.execute(statement)
        db.execute("SELECT revision FROM state").fetchone()
        db.execute("SELECT revision FROM results_state").fetchone()
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _has_our_runs(db: sqlite3.Connection) -> bool:
    """Return whether a file has the columns and orders of the list."""
    columns = {name for _, name, *_ in db.execute("PRAGMA table_info(run)")}
    return columns == set(RUN_TABLE) and _orders(db).issubset(_INDEXES.values())


def _orders(db: sqlite3.Connection) -> set[str]:
    """Return the list orders with an index in the file."""
    return {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE name GLOB 'run_by_*'")}


def missing_orders(db: sqlite3.Connection) -> list[str]:
    """Return the columns that the file cannot sort by without reading every run."""
    orders = _orders(db)
    return [key for key, statement in _INDEXES.items() if statement not in orders]


def add_order(db: sqlite3.Connection, key: str) -> None:
    """Build the index of a column if it is missing."""
    if key in missing_orders(db):
        db.execute(f"PRAGMA cache_size = {_SORTING_KIB}")
        if key == BY_ID:
            db.execute("DROP INDEX IF EXISTS run_of_segment")  # its space is used again
        try:
            db.execute(_INDEXES[key])
        finally:
            db.execute(f"PRAGMA cache_size = {_WRITING_KIB}")


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
    )
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        # Sorting a million entries in memory takes 70 MB, and a third longer. SQLite's temporary files have no
        # name, so that nobody else can open them.
        db.execute("PRAGMA temp_store = FILE")
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    path.replace(path.with_name(path.name + ".aside"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _schema() -> tuple[str, ...]:
    """Return the schema of this version. Rows of runs are separate from their JSON, so that walking over them reads
    little."""
    columns = ", ".join(f"{name} NOT NULL" for name in RUN_TABLE[1:])
    return (
        f"CREATE TABLE run (rowid INTEGER PRIMARY KEY, {columns})",
        "CREATE TABLE body (rowid INTEGER PRIMARY KEY, raw TEXT NOT NULL)",
        "CREATE TABLE workflow (id TEXT PRIMARY KEY, name TEXT NOT NULL, raw TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE status_count (status TEXT PRIMARY KEY, runs INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE state (revision INTEGER NOT NULL)",
        "INSERT INTO state VALUES (0)",
        *RESULT_TABLES,
        *_SEGMENTS,
        f"PRAGMA user_version = {VERSION}",
    )


def _indexes() -> Iterator[tuple[str, str]]:
    """Yield one index per order of the list, by column, with the first field ascending: SQLite reads it from either
    end."""
    for column in RUN_COLUMNS:
        *terms, (_, backward) = order_terms(column)
        fields = ", ".join(f"{field} DESC" if descending != backward else field for field, descending in terms)
        kind = "UNIQUE INDEX" if column.key == BY_ID else "INDEX"
        yield column.key, f"CREATE {kind} run_by_{column.key} ON run ({fields})"


_INDEXES: Final = dict(_indexes()) | {HISTORIES: _HISTORY_INDEX}
"""They are built once the runs are there, or when a list is sorted that way: indexing a million runs at the end costs a
third of updating the index while they arrive."""


class ChangedRuns:
    """The changes of one transaction."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.many = False
        """True if more has changed than the ids tell."""

    def __bool__(self) -> bool:
        return self.many or bool(self.ids)

    def news(self) -> frozenset[str] | None:
        """Return what to announce: the ids, or None for many."""
        return None if self.many or len(self.ids) > MANY else frozenset(self.ids)


class KnownListing(NamedTuple):
    """How far the runs of a workflow are known, by the service's clock (ticks)."""

    as_of: int
    """All changes before this time are in the store."""
    full_at: int
    """When all runs were last read; later deletions are unknown."""


def known_listings(db: sqlite3.Connection) -> dict[str, KnownListing]:
    are_moments = "typeof(as_of) = 'integer' AND typeof(full_at) = 'integer'"
    found = db.execute(f"SELECT workflow_id, as_of, full_at FROM listing WHERE {are_moments}")
    return {key: KnownListing(*known) for key, *known in found}


def put_listing(db: sqlite3.Connection, workflow_id: str, known: KnownListing) -> None:
    db.execute("REPLACE INTO listing VALUES (?, ?, ?)", (storable(workflow_id), *known))


class StoredIds:
    """The ids in a file that has no index of them. It finds every stored id, and takes about one in ten thousand others
    for a stored one. Within one segment a search costs no more; within four it takes ten times as long."""

    def __init__(self) -> None:
        self._version = -1
        """The version of the file; another one means that somebody else has written."""
        self._marks = bytearray()

    def among(self, db: sqlite3.Connection, ids: Collection[str], rows: int) -> Collection[str]:
        """Return those of some ids that a file with so many rows may have. The caller stores all of them next."""
        if rows < 1 << _SEGMENT_BITS or BY_ID not in missing_orders(db):
            self._version, self._marks = -1, bytearray()
            return ids
        version = db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version, self._marks = version, bytearray(_PLACES)
            self._mark(run_id for (run_id,) in db.execute("SELECT id FROM run"))
        return self._mark(ids)

    def _mark(self, ids: Iterable[str]) -> list[str]:
        """Return those that may have been marked before."""
        marks, met = self._marks, []
        for run_id in ids:
            number = hash(run_id)
            mark, place, other = _MARKS[(number >> 48) % len(_MARKS)], number % _PLACES, (number >> 24) % _PLACES
            if marks[place] & marks[other] & mark == mark:
                met.append(run_id)
            marks[place] |= mark
            marks[other] |= mark
        return met


class _Stored(NamedTuple):
    """The facts about a stored run that show whether it changes."""

    rowid: int
    workflow_id: str
    status: str
    raw: str


def put_runs(
    db: sqlite3.Connection,
    changes: ChangedRuns,
    workflow_id: str,
    received: Mapping[str, tuple[Mapping[str, Any], str]],
    foreground: Foreground,
    *,
    stored_ids: StoredIds,
    answered: Collection[str] = (),
) -> set[int]:
    """Store runs and their JSON, by `storable` id; return the row numbers of all of them, changed or not.

    Runs in `answered` were read separately meanwhile, before or after: they are replaced only by a later change of the
    service.
    """
    next_rowid = db.execute("SELECT coalesce(max(rowid), 0) + 1 FROM run").fetchone()[0]
    stored = _stored(db, stored_ids.among(db, received, next_rowid))
    workflow_id = storable(workflow_id)
    name = _workflow_name(db, workflow_id)
    key = name.casefold()
    rows: list[tuple[str | int, ...]] = []
    bodies: list[tuple[int, str]] = []
    counts: Counter[str] = Counter()
    rowids = {old.rowid for old in stored.values()}
    remaining = iter(received.items())
    while part := tuple(islice(remaining, _RUNS_IN_A_GO)):
        foreground.yield_to_input_in_thread()
        changed: list[tuple[int, Mapping[str, Any]]] = []
        for run_id, (raw, text) in part:
            if (old := stored.get(run_id)) is not None:
                kept = raw if old.raw == text else kept_object(old.raw) or {}
                if old.workflow_id == workflow_id and (kept is raw or as_json(kept) == as_json(raw)):
                    continue
                if run_id in answered and _last_updated(raw) <= _last_updated(kept):
                    continue
                rowid = old.rowid
                counts[old.status] -= 1
            else:
                rowid, next_rowid = next_rowid, next_rowid + 1
                rowids.add(rowid)
            changed.append((rowid, raw))
            bodies.append((rowid, text))
            changes.ids.add(run_id)
        columns = index_runs([raw for _, raw in changed], workflow_id)
        counts.update(map(str, columns[_STATUS]))
        rows += zip((rowid for rowid, _ in changed), *columns, repeat(name), repeat(key))
    db.executemany(_PUT, rows)
    db.executemany("REPLACE INTO body VALUES (?, ?)", bodies)
    _add_counts(db, counts)
    return rowids


def _last_updated(run: Mapping[str, Any]) -> int:
    """Return the last update in ticks; NO_NUMBER if the run names none."""
    return int(index_runs([run], "")[_LAST_UPDATED][0])


def delete_runs(db: sqlite3.Connection, changes: ChangedRuns, workflow_id: str, *, kept: Container[int] = ()) -> None:
    found = db.execute("SELECT rowid FROM run WHERE workflow_id = ?", (workflow_id,))
    gone = [(rowid,) for (rowid,) in found if rowid not in kept]
    counts: Counter[str] = Counter()
    for row in gone:
        [(run_id, status)] = db.execute("DELETE FROM run WHERE rowid = ? RETURNING id, status", row)
        changes.ids.add(run_id)
        counts[status] -= 1
    db.executemany("DELETE FROM body WHERE rowid = ?", gone)
    delete_results(db, [rowid for (rowid,) in gone])
    _add_counts(db, counts)


def put_workflow(db: sqlite3.Connection, changes: ChangedRuns, raw: Mapping[str, Any]) -> None:
    """Store a workflow as received; its name appears in the rows of its runs at once."""
    workflow_id, display_name = storable(str(raw["id"])), raw.get("displayName")
    name = storable(display_name) if isinstance(display_name, str) and display_name else workflow_id
    if name != _workflow_name(db, workflow_id):
        db.execute(
            "UPDATE run SET workflow_name = ?, workflow_key = ? WHERE workflow_id = ?",
            (name, name.casefold(), workflow_id),
        )
        changes.many = True
    text = json.dumps(raw)
    if db.execute("SELECT 1 FROM workflow WHERE id = ? AND raw = ?", (workflow_id, text)).fetchone() is None:
        db.execute("REPLACE INTO workflow VALUES (?, ?, ?)", (workflow_id, name, text))
        changes.many = True


def _stored(db: sqlite3.Connection, run_ids: Collection[str]) -> dict[str, _Stored]:
    columns = "id, run.rowid, workflow_id, status, (SELECT raw FROM body WHERE body.rowid = run.rowid)"
    return {run_id: _Stored(*rest) for run_id, *rest in rows_of_runs(db, columns, run_ids)}


def _workflow_name(db: sqlite3.Connection, workflow_id: str) -> str:
    """Return the name of a workflow, or its id while the name is unknown."""
    known = db.execute("SELECT name FROM workflow WHERE id = ?", (workflow_id,)).fetchone()
    if known is not None:
        return str(known[0])
    db.execute("INSERT INTO workflow VALUES (?, ?, ?)", (workflow_id, workflow_id, json.dumps({"id": workflow_id})))
    return workflow_id


def _add_counts(db: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    """Update the counts by status. (Triggers would do it too, but a page of new runs would take half as long again.)"""
    db.executemany(
        "INSERT INTO status_count VALUES (?, ?) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs",
        [(status, runs) for status, runs in counts.items() if runs],
    )
    db.execute("DELETE FROM status_count WHERE runs = 0")
