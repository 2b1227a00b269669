"""The connections to the file of the store: one writes, and each thread reads through its own.

Invariant: writes take turns; a reader never waits for one, and sees one state per transaction. A file that is deleted,
moved or replaced is opened again before the next transaction. Any thread may call anything here.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtui.private_files import FileIds, files_at
from runtui.services.store.file import STORE_ERRORS, begin_write, open_again, open_reader, open_writer, store_error


class _FairLock:
    """A fair lock: a waiting thread gets it before one that releases it and asks again at once."""

    def __init__(self) -> None:
        self._held, self.next = threading.Lock(), threading.Lock()

    def __enter__(self) -> None:
        with self.next:
            self._held.acquire()

    def __exit__(self, *_: object) -> None:
        self._held.release()


class Connections:
    """The connections to one file, from when it is opened.

    Args:
        begin_again: Called with the writer of a file that replaces a lost one, before anything is read from it.

    Raises:
        StoreError: the file cannot be created, read or written; every method raises it.
    """

    def __init__(self, path: Path, begin_again: Callable[[sqlite3.Connection], None]) -> None:
        self._path, self._begin_again = path, begin_again
        self.writer = open_writer(path)
        self._files: FileIds | None = files_at(path)
        """The open files; None once they are closed."""
        self.turn = _FairLock()
        """Held by the thread that writes."""
        self._readers: list[sqlite3.Connection] = []
        self._in_use: dict[int, threading.Lock] = {}
        """The lock of each connection, held while a thread reads through it."""
        self._of_thread = threading.local()

    def close(self) -> None:
        """Close every connection; nothing may be called afterwards."""
        with self.turn:
            self._files = None
            for db in (*self._readers, self.writer):
                with self._lock_of(db):  # SQLite crashes if it is closed during a call
                    db.close()
            self._readers.clear()

    def release_pages(self) -> None:
        """Release the memory of pages read and written: up to 4 MB after a listing of a million runs. A connection
        that is in use keeps its own."""
        with self.turn:
            for db in (*self._readers, self.writer):
                if (in_use := self._lock_of(db)).acquire(blocking=False):
                    try:
                        db.execute("PRAGMA shrink_memory")
                    except STORE_ERRORS as error:
                        raise store_error(self._path, error) from error
                    finally:
                        in_use.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection, within one state of the store."""
        try:
            db = self._reader()
            with self._lock_of(db):
                db.execute("BEGIN")
                try:
                    yield db
                finally:
                    if db.in_transaction:  # SQLite itself ends it after some errors, such as a full disk
                        db.execute("COMMIT")
        except STORE_ERRORS as error:
            raise store_error(self._path, error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the writer for one transaction, which is written completely or not at all."""
        with self.turn:
            try:
                self._open_again()
                begin_write(self.writer, self._path)
                try:
                    yield self.writer
                    self.writer.execute("COMMIT")
                except BaseException:
                    self.writer.rollback()
                    raise
            except STORE_ERRORS as error:
                raise store_error(self._path, error) from error

    def _lock_of(self, db: sqlite3.Connection) -> threading.Lock:
        return self._in_use.setdefault(id(db), threading.Lock())

    def _reader(self) -> sqlite3.Connection:
        """Return this thread's connection to the file at the path."""
        if self._files not in (None, files_at(self._path)):
            with self.turn:
                self._open_again()
        files, db = getattr(self._of_thread, "reader", (None, None))
        if db is None or self._files not in (None, files):
            files, db = self._of_thread.reader = self._files, open_reader(self._path)
            self._readers.append(db)
            if self._files is None:  # `close` may not have met this one
                db.close()
        return db

    def _open_again(self) -> None:
        """Create another file if this one was lost. Readers follow, each at its next call."""
        if self._files is not None and self._files != files_at(self._path):
            lost, self.writer = self.writer, open_again(self._path, self.writer, self._files)
            self._readers.append(lost)
            self._files = files_at(self._path)
            self._begin_again(self.writer)
