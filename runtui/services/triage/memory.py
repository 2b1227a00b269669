"""The triage memory of one server: which runs were seen, handled, snoozed and noted, and by whom.

Invariant: the journal's file is written first and is authoritative; the copy in the store follows. `follow` takes over
what another runtui wrote. A change writes only its own columns: opening a run does not undo another person's mark or
note.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from runtui.domain.rows import RunRow, storable
from runtui.domain.times import now_ticks
from runtui.domain.triage.memory import LONGEST_NOTE, NO_TIME, TRIAGE_STATES, RunTriage, TriageState
from runtui.domain.triage.standing import with_state
from runtui.graph.root import server_key
from runtui.redact import redact
from runtui.services.records.journal import Journal
from runtui.services.store.query import following, row_of
from runtui.services.store.store import RunQuery, Store
from runtui.services.triage.projection import (
    AMONG_RUNS,
    FINGERPRINT,
    Stamped,
    fingerprint,
    fingerprint_of,
    put_triage,
    replace_triage,
    with_triage,
)

# The SQL below is built from column names; every id and value is a parameter.
# ruff: noqa: S608

_FIELDS: Final = RunTriage._fields
_NOTED: Final = ("note", "who", "changed")
_MARKED: Final = tuple(name for name in _FIELDS if name not in ("run_id", "seen", "note"))
_COLUMNS: Final = ("server", *_FIELDS, "stamp")
_INSERT: Final = (
    f"INSERT INTO triage ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS[:-1])},"
    " (SELECT coalesce(max(stamp), 0) + 1 FROM triage)) ON CONFLICT DO UPDATE SET "
)


def _upsert(fields: Iterable[str], condition: str = "TRUE") -> str:
    """Return the statement that writes some fields of a run and leaves the others unchanged."""
    assigned = ", ".join(f"{name} = excluded.{name}" for name in (*fields, "stamp"))
    return f"{_INSERT}{assigned} WHERE {condition}"


_SEE: Final = _upsert(["seen"], "seen = 0")
_MARK: Final = _upsert(_MARKED)
_NOTE: Final = _upsert(_NOTED)

_TAKE: Final = _upsert(
    [name for name in _FIELDS if name not in ("run_id", "seen")], "excluded.changed > triage.changed"
)


class TriageMemory:
    """The triage of the runs of one server under any of its names. Every method reads or writes files, may be called
    from any thread, and raises RuntuiError if a file cannot be used.
    """

    def __init__(self, journal: Journal, store: Store, root: str) -> None:
        self._journal = journal
        self._store = store
        self._server = server_key(root)

    def follow(self) -> bool:
        """Copy the journal's triage into the store if the two differ. Return True if they did."""
        (there,) = self._journal.rows(f"{FINGERPRINT} WHERE server = ?", (self._server,))
        with self._store.reading() as db:
            mirrored = fingerprint(db)
        if mirrored == tuple(there):
            return False
        recorded = self._recorded()
        is_same = mirrored == fingerprint_of(recorded)  # damaged rows of the journal are not copied
        if not is_same:
            self._mirror(replace_triage, recorded)
        return not is_same

    def rows(self, run_ids: Iterable[str]) -> list[RunRow]:
        """Return those of the runs that are in the store, with their triage."""
        with self._store.reading() as db:
            found = (row_of(db, storable(run_id)) for run_id in run_ids)
            return with_triage(db, [row for row in found if row is not None])

    def next_of(self, query: RunQuery, run_id: str | None) -> str | None:
        """Return the id of the run after `run_id` in a query; the first follows the last. None if it finds no run."""
        with self._store.reading() as db:
            row = following(db, query, storable(run_id or ""))
        return row.id if row is not None else None

    def ended(self, after: int, now: int) -> int:
        """Return how many snoozes ended after `after` and up to `now` (ticks)."""
        sql = "SELECT count(*) FROM triage WHERE state = 'snoozed' AND until > ? AND until <= ?"
        with self._store.reading() as db:
            return int(db.execute(sql, (after, now)).fetchone()[0])

    # Changes

    def see(self, run_id: str) -> bool:
        """Record the first time that a run is opened. Return True if this is the first time."""
        is_first = all(row.triage is None or row.triage.seen == NO_TIME for row in self.rows([run_id]))
        if is_first:
            self._write(_SEE, [RunTriage(storable(run_id), seen=now_ticks())])
        return is_first

    def set_state(self, run_ids: Iterable[str], state: TriageState, who: str, *, until: int = NO_TIME) -> list[str]:
        """Set the state of runs ("" clears it), with their present values. Return the ids of those in the store.

        `until` is the end of a snooze (ticks); NO_TIME means when the run changes. `who` is empty if unknown.
        """
        now, rows = now_ticks(), self.rows(run_ids)
        known = [with_state(RunTriage(row.id, who=who, changed=now), row, state, now, until=until) for row in rows]
        self._write(_MARK, known)
        return [row.id for row in rows]

    def note(self, run_ids: Iterable[str], note: str, who: str) -> None:
        """Set the note of runs; an empty note clears it."""
        text = redact(" ".join(note.split()))[:LONGEST_NOTE]
        self._write(_NOTE, [RunTriage(storable(name), note=text, who=who, changed=now_ticks()) for name in run_ids])

    def all(self) -> Iterator[RunTriage]:
        return (known for known, _ in self._recorded())

    def take(self, received: Sequence[RunTriage]) -> int:
        """Take over triage from elsewhere if it is newer. Return for how many runs it was."""
        return self._write(_TAKE, received)

    def _write(self, statement: str, triages: Sequence[RunTriage]) -> int:
        """Write into the journal, then copy the result into the store. Return the number of changed rows."""
        if not triages:
            return 0
        changed = self._journal.execute(statement, [{"server": self._server, **known._asdict()} for known in triages])
        ids = {known.run_id for known in triages}
        self._mirror(put_triage, self._recorded(ids))
        return changed

    def _mirror(self, put: Callable[[sqlite3.Connection, list[Stamped]], None], rows: list[Stamped]) -> None:
        """Write the copy into the store, without an announcement, since no run has changed."""
        with self._store.writing() as (db, _):
            put(db, rows)
            db.execute("UPDATE state SET revision = revision + 1")

    def _recorded(self, run_ids: Collection[str] = ()) -> list[Stamped]:
        """Return the journal's triage of some runs (empty: all), without damaged rows."""
        sql = f"SELECT {', '.join((*_FIELDS, 'stamp'))} FROM triage WHERE server = ?"
        if run_ids:
            found = self._journal.rows(f"{sql} AND {AMONG_RUNS}", (self._server, json.dumps(list(run_ids))))
        else:
            found = self._journal.rows(sql, (self._server,))
        return [(RunTriage(*row[:-1]), row["stamp"]) for row in map(_sound, found) if row is not None]


def _sound(row: sqlite3.Row) -> sqlite3.Row | None:
    """Return the row if it is as runtui writes it; None if another program wrote it or it is damaged."""
    empty = (*RunTriage(""), 0)
    is_sound = row["state"] in TRIAGE_STATES and all(map(isinstance, row, map(type, empty)))
    return row if is_sound and all(storable(text) == text for text in row if isinstance(text, str)) else None
