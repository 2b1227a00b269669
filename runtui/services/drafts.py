"""Changes begun and not sent, by run id: in memory for the screen, on disk for the next start.

Invariant: a draft is on its way to the disk as soon as it changes, and never waits for the screen; the last state of each
is what arrives. A draft that cannot be kept on disk stays in memory, and `fault` says so.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from runtui.domain.draft import Draft, Edit
from runtui.errors import RuntuiError
from runtui.redact import redact_values
from runtui.services.announcer import Announcer
from runtui.services.journal_file import JournalError, open_journal


class Drafts:
    """The drafts of one Graph root; read from the file at `load`."""

    def __init__(self, path: Path) -> None:
        self.fault: RuntuiError | None = None
        """Why drafts are not on disk; None while they are."""
        self.changed: Announcer[str] = Announcer()
        """Told the run id of each draft that came, changed or went."""
        self._path = path
        self._root = ""
        self._drafts: dict[str, Draft] = {}
        self._waiting: dict[str, Draft | None] = {}
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="drafts")
        self._writing: Future[None] | None = None
        self._db: sqlite3.Connection | None = None

    def load(self, root: str) -> None:
        """Read the drafts of a root; the trouble with the file, if there is any, is in `fault`."""
        self._root = root
        try:
            rows = self._connection().execute("SELECT * FROM draft WHERE root = ?", (root,)).fetchall()
        except JournalError as error:
            self.fault = error
        except sqlite3.Error as error:
            self.fault = JournalError(self._path, error)
        else:
            self._drafts |= {row["run_id"]: _draft(row) for row in rows}

    def get(self, run_id: str) -> Draft | None:
        """The draft of a run."""
        return self._drafts.get(run_id)

    def keep(self, draft: Draft) -> None:
        """Remember a draft; one without edits is forgotten."""
        if not draft.edits:
            self.drop(draft.run_id)
        elif self._drafts.get(draft.run_id) is not draft:
            self._drafts[draft.run_id] = draft
            self._write_later(draft.run_id, draft)

    def drop(self, run_id: str) -> None:
        """Forget the draft of a run."""
        if self._drafts.pop(run_id, None) is not None:
            self._write_later(run_id, None)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._drafts

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._drafts))

    def __len__(self) -> int:
        return len(self._drafts)

    def flush(self) -> None:
        """Wait until everything is on disk, as far as the disk takes it."""
        if (writing := self._writing) is not None:
            writing.result()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.shutdown()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _write_later(self, run_id: str, draft: Draft | None) -> None:
        with self._lock:
            is_idle = not self._waiting
            self._waiting[run_id] = draft
            if is_idle:
                self._writing = self._writer.submit(self._write)
        self.changed.announce(run_id)

    def _write(self) -> None:
        """In the writer's thread: the last state of every draft that changed."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        try:
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            for run_id, draft in waiting.items():
                db.execute("DELETE FROM draft WHERE root = ? AND run_id = ?", (self._root, run_id))
                if draft is not None:
                    db.execute("INSERT INTO draft VALUES (?, ?, ?, ?, ?, ?, ?)", _row(self._root, draft))
            db.execute("COMMIT")
        except JournalError as error:
            self.fault = error
        except sqlite3.Error as error:
            self.fault = JournalError(self._path, error)
            if self._db is not None:
                self._db.close()
                self._db = None
        else:
            self.fault = None

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_journal(self._path, durable=False)
        return self._db


def _row(root: str, draft: Draft) -> tuple[str, ...]:
    received = json.dumps(redact_values(draft.received))
    edits = json.dumps({name: redact_values(asdict(edit)) for name, edit in draft.edits.items()})
    return root, draft.run_id, draft.workflow_id, draft.mode, received, edits, datetime.now(UTC).isoformat()


def _draft(row: sqlite3.Row) -> Draft:
    edits = {name: Edit(**edit) for name, edit in json.loads(row["edits"]).items()}
    received = json.loads(row["received"])
    return Draft(row["run_id"], row["workflow_id"], received, row["mode"], MappingProxyType(edits))
