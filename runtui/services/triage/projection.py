"""The copy of the triage memory in the store's file, so that lists and filters read one file in one state.

Invariant: the journal's file is authoritative. The copy can be rebuilt from it at any time, and is rebuilt when the two
differ. `triage_of` reads only the rows of given runs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Final, TypeAlias

from runtui.domain.rows import RunRow, severity
from runtui.domain.triage.memory import RunTriage

# The SQL below is built from column names; every id and value is a parameter.
# ruff: noqa: S608

_FIELDS: Final = RunTriage._fields
_KEPT: Final = ("stamp", "was_severity", "note_key")
"""The columns besides the fields: the journal's stamp, and values for filters."""

TRIAGE_TABLE: Final = f"""
    CREATE TABLE IF NOT EXISTS triage (
        {", ".join(f"{name} NOT NULL" for name in (*_FIELDS, *_KEPT))}, PRIMARY KEY (run_id)
    ) WITHOUT ROWID
"""

_PUT: Final = f"REPLACE INTO triage VALUES ({', '.join('?' * (len(_FIELDS) + len(_KEPT)))})"

AMONG_RUNS: Final = "run_id IN (SELECT value FROM json_each(?))"
"""The condition that a run is one of those with the ids in a JSON array."""

Stamped: TypeAlias = tuple[RunTriage, int]
"""The triage of a run and its stamp in the journal, which grows with each change to any run."""

Fingerprint: TypeAlias = tuple[int, int, int]
"""The number of runs, the sum of their stamps and the latest change: equal for two equal copies of the memory."""

FINGERPRINT: Final = "SELECT count(*), coalesce(sum(stamp), 0), coalesce(max(changed), 0) FROM triage"


def put_triage(db: sqlite3.Connection, rows: Iterable[Stamped]) -> None:
    db.executemany(_PUT, [(*known, stamp, severity(known.was_status), known.note.casefold()) for known, stamp in rows])


def replace_triage(db: sqlite3.Connection, rows: Iterable[Stamped]) -> None:
    db.execute("DELETE FROM triage")
    put_triage(db, rows)


def triage_of(db: sqlite3.Connection, run_ids: Collection[str]) -> dict[str, RunTriage]:
    sql = f"SELECT {', '.join(_FIELDS)} FROM triage WHERE {AMONG_RUNS}"
    return {row[0]: RunTriage(*row) for row in db.execute(sql, (json.dumps(list(run_ids)),))}


def with_triage(db: sqlite3.Connection, rows: Sequence[RunRow]) -> list[RunRow]:
    known = triage_of(db, [row.id for row in rows])
    return [row._replace(triage=known[row.id]) if row.id in known else row for row in rows] if known else list(rows)


def fingerprint(db: sqlite3.Connection) -> Fingerprint:
    runs, stamps, newest = db.execute(FINGERPRINT).fetchone()
    return runs, stamps, newest


def fingerprint_of(rows: Collection[Stamped]) -> Fingerprint:
    return len(rows), sum(stamp for _, stamp in rows), max((known.changed for known, _ in rows), default=0)
