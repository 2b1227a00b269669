"""The typed changes of each run until they are done: in memory for the screen, on disk for the next start.

Invariant: a draft is on disk before it is shown, unless the disk takes longer than `PATIENCE_SECONDS`. Only the last
state of each draft is written. A draft that cannot be written stays in memory, `fault` says why, and the next change
tries again. If the file was lost, all drafts go into the new one.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from runtui.announcer import Announcer
from runtui.domain.draft import Draft, Edit
from runtui.errors import RuntuiError
from runtui.redact import REDACTED, hide_secrets, redact_values
from runtui.services.records.journal_file import JournalConnection, JournalError, broken_journal, open_journal

_NOT_KEPT: Final = "What was typed here held a secret, which is not kept on disk. Type it again, or revert the field."

PATIENCE_SECONDS: Final = 0.02
"""The longest wait of a change for the disk; a write takes about one millisecond."""


class StoredDraft(NamedTuple):
    """A draft and the time of its last change (UTC)."""

    draft: Draft
    changed_at: datetime


class Drafts:
    """The drafts of one Graph root. Call `load` to read them from the file."""

    def __init__(self, path: Path) -> None:
        self.fault: RuntuiError | None = None
        """Why drafts could not be read or written; None if they are on disk."""
        self.failed: Announcer[RuntuiError] = Announcer()
        """Announces, in the writer's thread, the first failed write after a success, and a file found broken."""
        self._path = path
        self._root = ""
        self._kept: dict[str, StoredDraft] = {}
        self._waiting: dict[str, StoredDraft | datetime] = {}
        """What is not written yet: drafts, and for each dropped one the time of its last change."""
        self._refused: dict[str, StoredDraft | datetime] = {}
        """What could not be written. Only the writer's thread uses it."""
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="drafts")
        self._writing: Future[None] | None = None
        self._db: JournalConnection | None = None
        self.set_aside: Path | None = None
        """The path of the broken file that was moved away when this one was opened; None if there was none."""

    def load(self, root: str) -> None:
        """Read the drafts of a root. An error is stored in `fault`, not raised."""
        self._root = root
        try:
            rows = self._connection().rows("SELECT * FROM draft WHERE root = ?", (root,))
        except JournalError as error:
            self.fault = error
        except sqlite3.Error as error:
            self.fault = JournalError(self._path, error)
        else:
            self._take(rows)

    def _take(self, rows: Iterable[sqlite3.Row]) -> None:
        """Keep the drafts in `rows`. A damaged row stays in the file and is reported in `fault`."""
        for row in rows:
            try:
                self._kept[row["run_id"]] = _kept(row)
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                self.fault = JournalError(self._path, f"the draft of {row['run_id']} cannot be read ({error})")

    def get(self, run_id: str) -> Draft | None:
        kept = self._kept.get(run_id)
        return kept.draft if kept is not None else None

    def changed_at(self, run_id: str) -> datetime:
        """Return the time of the last edit in the draft of a run (UTC).

        Raises:
            KeyError: the run has no draft.
        """
        return self._kept[run_id].changed_at

    def keep(self, draft: Draft) -> None:
        """Keep a draft, or drop it if it has no edits."""
        before = self._kept.get(draft.run_id)
        if not draft.edits:
            self.drop(draft.run_id)
        elif before is None or before.draft is not draft:
            is_typed = before is None or before.draft.edits != draft.edits
            kept = StoredDraft(draft, datetime.now(UTC) if is_typed or before is None else before.changed_at)
            self._kept[draft.run_id] = kept
            self._write_later(draft.run_id, kept)

    def drop(self, run_id: str) -> None:
        if (kept := self._kept.pop(run_id, None)) is not None:
            self._write_later(run_id, kept.changed_at)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._kept))

    def __len__(self) -> int:
        return len(self._kept)

    def flush(self) -> None:
        """Wait until each draft is written, or could not be."""
        if (writing := self._writing) is not None:
            writing.result()

    def close(self) -> None:
        """Write all remaining drafts, try the failed ones once more, and close the file."""
        self._writer.shutdown()
        if self._refused:
            self._write()
        self._let_go()

    def _write_later(self, run_id: str, kept: StoredDraft | datetime) -> None:
        with self._lock:
            is_idle = not self._waiting
            self._waiting[run_id] = kept
            if is_idle:
                self._writing = self._writer.submit(self._write)
        if is_idle and self._writing is not None:
            # Waiting also releases the GIL, which a busy event loop would take back at each step of the writer.
            wait([self._writing], PATIENCE_SECONDS)

    def _write(self) -> None:
        """Write the last state of every changed draft. It runs in the writer's thread."""
        with self._lock:
            waiting, self._waiting = self._refused | self._waiting, {}
        fault: JournalError | None = None
        try:
            self._put(waiting)
        except JournalError as error:
            fault = error
        except sqlite3.Error as error:
            fault = JournalError(self._path, error)
            self._let_go()
        self._refused = waiting if fault is not None else {}
        is_news = fault is not None and self.fault is None
        self.fault = fault
        if fault is not None and is_news:
            self.failed.announce(fault)

    def _put(self, drafts: Mapping[str, StoredDraft | datetime]) -> None:
        db, lost = self._connection(), None
        try:
            db.check()
        except JournalError as error:
            if db.needs_restart:
                lost = error  # write it nevertheless: closing the last connection moves it into the file
            else:
                self._let_go()
                db, drafts = self._connection(), {**self._kept, **drafts}
        db.execute("BEGIN IMMEDIATE")
        for run_id, kept in drafts.items():
            if isinstance(kept, StoredDraft):
                db.execute("REPLACE INTO draft VALUES (?, ?, ?, ?, ?, ?, ?)", _row(self._root, kept))
            else:  # another runtui may have typed a later one
                own = "DELETE FROM draft WHERE root = ? AND run_id = ? AND changed_at <= ?"
                db.execute(own, (self._root, run_id, kept.isoformat()))
        db.execute("COMMIT")
        if lost is not None:
            raise lost

    def _connection(self) -> JournalConnection:
        if self._db is None:
            self._db = open_journal(self._path, durable=False)
            self.set_aside = self._db.set_aside or self.set_aside
        return self._db

    def _let_go(self) -> None:
        """Close the file; the next write opens it again."""
        db, self._db = self._db, None
        if db is not None and (aside := db.let_go()) is not None:
            self.failed.announce(broken_journal(aside))


def _row(root: str, kept: StoredDraft) -> tuple[str, ...]:
    draft = kept.draft
    received = hide_secrets(json.dumps(draft.received))
    edits = json.dumps({name: redact_values(edit._asdict()) for name, edit in draft.edits.items()})
    return root, draft.run_id, draft.workflow_id, draft.mode, received, edits, kept.changed_at.isoformat()


def _kept(row: sqlite3.Row) -> StoredDraft:
    edits = {name: _edit(**edit) for name, edit in json.loads(row["edits"]).items()}
    received = json.loads(row["received"])
    draft = Draft(row["run_id"], row["workflow_id"], received, row["mode"], MappingProxyType(edits))
    return StoredDraft(draft, datetime.fromisoformat(row["changed_at"]))


def _edit(text: str, value: str | int | None, error: str | None) -> Edit:
    """Restore an edit. One with a hidden secret becomes an error, so that the mark for the secret is never sent."""
    is_hidden = REDACTED in text or REDACTED in str(value)
    return Edit(text, error=error or _NOT_KEPT) if is_hidden else Edit(text, value, error)
