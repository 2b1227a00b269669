"""Writing runs: only what differs from what is stored, with the counts by status carried along.

Invariant: a run, its JSON and the counts change together, in the caller's transaction; every change is noted in the
`Changes` it is announced from. A run that has not changed is neither written nor noted.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from runtui.domain.rows import INDEXED, index_run, run_key, storable
from runtui.services.store_file import RUN_TABLE

# The SQL below is put together from the names of columns; whatever comes from a server is a parameter.
# ruff: noqa: S608

MANY: Final = 100
"""More changed runs than this are announced as "many", without their ids."""

_AT_ONCE: Final = 1_000
"""Runs looked up by one statement: SQLite bounds the number of parameters."""

_PUT: Final = f"REPLACE INTO run ({', '.join(RUN_TABLE)}) VALUES ({', '.join('?' * len(RUN_TABLE))})"


class Changes:
    """What one transaction changed."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.many = False
        """Whether more changed than the ids tell."""

    def __bool__(self) -> bool:
        return self.many or bool(self.ids)

    def news(self) -> frozenset[str] | None:
        """What is announced: the ids, or None for many."""
        return None if self.many or len(self.ids) > MANY else frozenset(self.ids)


class _Stored(NamedTuple):
    """What must be known of a stored run to tell whether it changes."""

    rowid: int
    workflow_id: str
    status: str
    raw: str


def put_runs(
    db: sqlite3.Connection,
    changes: Changes,
    workflow_id: str,
    runs: Iterable[Mapping[str, Any]],
    *,
    except_ids: Collection[str] = (),
) -> set[int]:
    """Store runs as received; the row numbers of all of them, changed or not. Those in `except_ids` are left alone.

    Raises:
        RuntuiError: when a run has no id.
    """
    received = {run_key(raw, workflow_id): raw for raw in runs}
    stored = _stored(db, tuple(received))
    next_rowid = db.execute("SELECT coalesce(max(rowid), 0) + 1 FROM run").fetchone()[0]
    workflow_id = storable(workflow_id)
    name = _workflow_name(db, workflow_id)
    rows, bodies = [], []
    counts: Counter[str] = Counter()
    rowids = {old.rowid for old in stored.values()}
    for run_id, raw in received.items():
        old, text = stored.get(run_id), json.dumps(raw)
        if old is not None:
            if run_id in except_ids or (old.raw == text and old.workflow_id == workflow_id):
                continue
            rowid = old.rowid
            counts[old.status] -= 1
        else:
            rowid, next_rowid = next_rowid, next_rowid + 1
            rowids.add(rowid)
        run = index_run(raw, workflow_id)
        counts[str(run["status"])] += 1
        rows.append((rowid, name, name.casefold(), *(run[column] for column in INDEXED)))
        bodies.append((rowid, text))
        changes.ids.add(run_id)
    db.executemany(_PUT, rows)
    db.executemany("REPLACE INTO body VALUES (?, ?)", bodies)
    _add_counts(db, counts)
    return rowids


def delete_runs(db: sqlite3.Connection, changes: Changes, workflow_id: str, *, kept: Collection[int] = ()) -> None:
    """Remove the runs of a workflow, but for the rows in `kept`."""
    found = db.execute("SELECT rowid, id, status FROM run WHERE workflow_id = ?", (workflow_id,))
    gone = [(rowid, run_id, status) for rowid, run_id, status in found if rowid not in kept]
    rowids = [(rowid,) for rowid, _, _ in gone]
    db.executemany("DELETE FROM run WHERE rowid = ?", rowids)
    db.executemany("DELETE FROM body WHERE rowid = ?", rowids)
    counts = Counter(status for _, _, status in gone)
    _add_counts(db, {status: -runs for status, runs in counts.items()})
    changes.ids.update(run_id for _, run_id, _ in gone)


def put_workflow(db: sqlite3.Connection, changes: Changes, raw: Mapping[str, Any]) -> None:
    """Store a workflow as received; its name is shown in the rows of its runs at once."""
    workflow_id, display_name = storable(str(raw["id"])), raw.get("displayName")
    name = storable(display_name) if isinstance(display_name, str) and display_name else workflow_id
    if name != _workflow_name(db, workflow_id):
        db.execute(
            "UPDATE run SET workflow_name = ?, workflow_key = ? WHERE workflow_id = ?",
            (name, name.casefold(), workflow_id),
        )
        changes.many = True
    db.execute("REPLACE INTO workflow VALUES (?, ?, ?)", (workflow_id, name, json.dumps(raw)))


def _stored(db: sqlite3.Connection, run_ids: Sequence[str]) -> dict[str, _Stored]:
    found: dict[str, _Stored] = {}
    for start in range(0, len(run_ids), _AT_ONCE):
        part = run_ids[start : start + _AT_ONCE]
        sql = (
            f"SELECT id, rowid, workflow_id, status, raw FROM run JOIN body USING (rowid) WHERE id IN ({_marks(part)})"
        )
        found |= {run_id: _Stored(*rest) for run_id, *rest in db.execute(sql, part)}
    return found


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _workflow_name(db: sqlite3.Connection, workflow_id: str) -> str:
    """The name of a workflow; one that is not known yet is called by its id until it is."""
    known = db.execute("SELECT name FROM workflow WHERE id = ?", (workflow_id,)).fetchone()
    if known is not None:
        return str(known[0])
    db.execute("INSERT INTO workflow VALUES (?, ?, ?)", (workflow_id, workflow_id, json.dumps({"id": workflow_id})))
    return workflow_id


def _add_counts(db: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    """Carry the counts by status along. (Triggers would too, but a page of new runs would take half as long again.)"""
    db.executemany(
        "INSERT INTO status_count VALUES (?, ?) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs",
        [(status, runs) for status, runs in counts.items() if runs],
    )
    db.execute("DELETE FROM status_count WHERE runs = 0")
