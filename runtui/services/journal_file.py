"""The file of what must not be lost: the journal of writes and the drafts, of every root, for several runtui at once.

Invariant: what was written stays. Tables are only ever added to; a file that is broken is set aside under a name of its
own, never overwritten; one of a newer version is left alone, and nothing is sent then.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from runtui.errors import RuntuiError
from runtui.private_files import NotPrivateError, private_database, private_folder

BUSY_SECONDS: Final = 5.0
"""How long one connection waits for another one's write."""

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
)
"""The statements that lead from each version to the next; version n is what the first n steps make."""


class JournalError(RuntuiError):
    """The journal cannot be read or written; a write that cannot be recorded is not sent."""

    def __init__(
        self, path: Path, reason: object, cure: str = "Make room, or set RUNTUI_STATE to a folder of your own."
    ) -> None:
        what = f"{path}: {reason}."
        if isinstance(reason, NotPrivateError):
            what, cure = reason.sentence, reason.cure
        super().__init__("The journal cannot be used", what, f"{cure} Nothing is sent without the journal.")


def open_journal(path: Path, *, durable: bool) -> sqlite3.Connection:
    """Open the file, 0600 in a folder 0700, with all tables.

    Args:
        path: The file.
        durable: Whether a commit is on the disk itself when it returns (for intents), or with the system only, which
            outlives a killed process but not a loss of power (for drafts).

    Raises:
        JournalError: when there can be no such file.
    """
    try:
        private_folder(path.parent)
        with _alone_in(path.parent):
            try:
                return _open_sound(path, durable)
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                    raise
                _set_aside(path)
                return _open_sound(path, durable)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(path, error) from error


def damaged_files(path: Path) -> list[Path]:
    """The files that were set aside because they are broken, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*Z"))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One opens at a time: a second one that finds a file broken would set the first one's sound file aside."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _open_sound(path: Path, durable: bool) -> sqlite3.Connection:
    private_database(path)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    synchronous: Literal["FULL", "NORMAL"] = "FULL" if durable else "NORMAL"
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            broken = sqlite3.DatabaseError(found)
            broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise broken
        _bring_up_to_date(db, path)
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


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _set_aside(path: Path) -> None:
    name = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z"
    path.replace(path.with_name(name))
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.replace(path.with_name(name + suffix))
