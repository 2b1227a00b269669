"""The runs, in SQLite: a window on a query, its count, the place of a run in it, and the counts by status.

Invariant: the JSON of a run is kept as received; what the list shows and sorts by is derived from it in the same
transaction. A run that has not changed is neither written nor announced. Nothing outside relies on row numbers.

Threads: any thread may call anything. Writes take turns; each thread reads through its own connection and sees one
state per call. Changes are announced in the thread that wrote, after they can be read.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.domain.rows import (
    ABSENT,
    ACTIVE_SEVERITIES,
    COLUMN_BY_KEY,
    LOOKS,
    STUCK_AFTER,
    RunRecord,
    RunRow,
    record,
    storable,
)
from runtui.domain.times import now_ticks
from runtui.errors import RuntuiError
from runtui.services.announcer import Announcer
from runtui.services.store_file import StoreError, open_reader, open_writer, order_terms

if TYPE_CHECKING:
    from runtui.domain.filter_tree import Filter

MANY: Final = 100
"""More changed runs than this are announced as "many", without their ids."""

KEPT_COUNTS: Final = 16
"""Counts of filtered queries kept until the next change."""


class Query(NamedTuple):
    """What the list shows: which runs, in which order."""

    filter: Filter | None = None
    """None: every run."""
    sort: str = "started"
    """The key of a column."""
    descending: bool = True


class StoredRun(NamedTuple):
    """One run as received, and whose it is."""

    raw: dict[str, Any]
    workflow_id: str
    workflow_name: str


class Totals(NamedTuple):
    """How many runs there are, unfiltered."""

    total: int
    by_status: dict[str, int]
    """By processingStatus as received; "" counts the runs without one."""
    failed: int
    problems: int
    """What the filter `is:problem` finds."""
    stuck: int


class _Route(NamedTuple):
    """A way to the first row of a window: rows to skip from an end of the list, or from a row already known."""

    skip: int
    backward: bool
    edge: tuple[Any, ...] | None = None
    """Order values of the known row, which is itself the first one met."""


class _Anchor(NamedTuple):
    """The window last read: a place in the list from which the next one is near."""

    query: Query
    revision: int
    start: int
    end: int
    first: tuple[Any, ...]
    last: tuple[Any, ...]


def _column(name: str) -> str:
    is_number = name not in {"rowid", "id", "workflow_id", "workflow_name", "status", "execution_type"}
    return f"nullif({name}, {ABSENT})" if is_number else name


_ROW: Final = ", ".join(_column(name) for name in RunRow._fields)
_RUN_COLUMNS: Final = ("rowid", "workflow_name", "workflow_key", *RunRecord._fields)
_PUT_RUN: Final = f"REPLACE INTO run ({', '.join(_RUN_COLUMNS)}) VALUES ({', '.join('?' * len(_RUN_COLUMNS))})"  # noqa: S608
_SEVERITIES_ACTIVE: Final = ", ".join(map(str, ACTIVE_SEVERITIES))
_COUNT_STUCK: Final = f"SELECT count(*) FROM run WHERE severity IN ({_SEVERITIES_ACTIVE}) AND touched < ?"  # noqa: S608


class Store:
    """The runs of one Graph root."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin it anew when it is none of this version.

        Raises:
            StoreError: when the file cannot be created, read or written.
        """
        self._path = path
        self._writer = open_writer(path)
        self._writing_turn = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._of_thread = threading.local()
        self._changes: Announcer[frozenset[str] | None] = Announcer()
        self._listing = 0
        self._seen: dict[tuple[str, int], set[int]] = {}
        self._answered: dict[str, int] = {}
        self._anchor: _Anchor | None = None
        self._counts: dict[Filter, tuple[int, int]] = {}

    def close(self) -> None:
        """Close every connection; nothing may be asked afterwards."""
        with self._writing_turn:
            for db in (*self._readers, self._writer):
                db.close()
            self._readers.clear()

    # Writing

    def next_listing(self) -> int:
        """The number of a listing that begins now. It must not be asked for earlier.

        Pages of this listing do not overwrite a run that `put_run` stores from now on: such an answer is newer.
        """
        self._listing += 1
        return self._listing

    def put_workflows(self, workflows: Iterable[Mapping[str, Any]]) -> None:
        """Store workflows as received; a new `displayName` is shown in the rows of its runs at once."""
        with self._writing() as (db, changed):
            known = dict(db.execute("SELECT id, raw FROM workflow"))
            for raw in workflows:
                workflow_id, text = storable(str(raw["id"])), json.dumps(raw)
                if known.get(workflow_id) == text:
                    continue
                display_name = raw.get("displayName")
                name = storable(display_name) if isinstance(display_name, str) and display_name else workflow_id
                db.execute("REPLACE INTO workflow VALUES (?, ?, ?)", (workflow_id, name, text))
                renamed = db.execute(
                    "UPDATE run SET workflow_name = ?, workflow_key = ? WHERE workflow_id = ? AND workflow_name != ?",
                    (name, name.casefold(), workflow_id, name),
                )
                changed.many |= renamed.rowcount > 0

    def put_runs(self, workflow_id: str, runs: Sequence[Mapping[str, Any]], listing: int) -> int:
        """Store one page of a workflow's runs; the number of runs that are new or changed.

        Raises:
            RuntuiError: when a run has no id; all the others are stored.
        """
        records: dict[str, tuple[RunRecord, str]] = {}
        refused: RuntuiError | None = None
        for raw in runs:
            try:
                run = record(raw, workflow_id)
            except RuntuiError as error:
                refused = error
            else:
                records[run.id] = (run, json.dumps(raw))
        with self._writing() as (db, changed):
            self._listing = max(self._listing, listing)
            for key in [key for key in self._seen if key[0] == workflow_id and key[1] < listing]:
                del self._seen[key]
            seen = self._seen.setdefault((workflow_id, listing), set())
            newer = {run_id for run_id, during in self._answered.items() if during >= listing}
            seen |= _put(db, records, changed, untouched=newer)
        if refused is not None:
            raise refused
        return len(changed.ids)

    def put_run(self, workflow_id: str, raw: Mapping[str, Any]) -> None:
        """Store one run from the answer to a GET or PATCH.

        Raises:
            RuntuiError: when it has no id.
        """
        run = record(raw, workflow_id)
        with self._writing() as (db, changed):
            self._answered[run.id] = self._listing
            _put(db, {run.id: (run, json.dumps(raw))}, changed)

    def finish_listing(self, workflow_id: str, listing: int) -> None:
        """Remove the runs of a workflow that no page of this listing had: they are gone on the server."""
        with self._writing() as (db, changed):
            seen = self._seen.pop((workflow_id, listing), set())
            _delete(
                db,
                changed,
                [
                    (rowid, run_id, status)
                    for rowid, run_id, status in db.execute(
                        "SELECT rowid, id, status FROM run WHERE workflow_id = ?", (storable(workflow_id),)
                    )
                    if rowid not in seen and self._answered.get(run_id, -1) < listing
                ],
            )

    def keep_workflows(self, workflow_ids: Collection[str]) -> None:
        """Remove all other workflows, with their runs."""
        kept = {storable(workflow_id) for workflow_id in workflow_ids}
        with self._writing() as (db, changed):
            for (workflow_id,) in db.execute("SELECT id FROM workflow").fetchall():
                if workflow_id not in kept:
                    db.execute("DELETE FROM workflow WHERE id = ?", (workflow_id,))
                    runs = db.execute("SELECT rowid, id, status FROM run WHERE workflow_id = ?", (workflow_id,))
                    _delete(db, changed, runs.fetchall())

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small fact beside the runs: the time of the last listing, the sort, the columns."""
        with self._writing() as (db, _):
            db.execute("REPLACE INTO meta VALUES (?, ?)", (key, value))

    def subscribe(self, listener: Callable[[frozenset[str] | None], object]) -> Callable[[], None]:
        """Call `listener` after each change with the ids of the changed runs, or None for many; returns the end of it."""
        return self._changes.subscribe(listener)

    # Reading

    def window(self, query: Query, start: int, count: int) -> list[RunRow]:
        """The rows `start` to `start + count` of a query; fewer at its end."""
        terms = _terms(query)
        with self._reading() as db:
            revision = _revision(db)
            total = self._known_count(db, query, revision)
            if total is not None:
                count = min(count, total - start)
            if start < 0 or count <= 0:
                return []
            anchor = self._anchor
            if anchor is not None and (anchor.revision, anchor.query) != (revision, query):
                anchor = None
            route = min(_routes(start, count, total, anchor, terms), key=lambda route: route.skip)
            found = _walk(db, query, terms, route, count)
        if found:
            edges = tuple(found[0][len(RunRow._fields) :]), tuple(found[-1][len(RunRow._fields) :])
            self._anchor = _Anchor(query, revision, start, start + len(found), *edges)
        return [RunRow._make(values[: len(RunRow._fields)]) for values in found]

    def count(self, query: Query) -> int:
        """How many runs a query finds. Without a filter it costs nothing; with one it may read all rows: use a thread."""
        with self._reading() as db:
            revision = _revision(db)
            known = self._known_count(db, query, revision)
            if known is not None or query.filter is None:
                return known or 0
            where, values = query.filter.where()
            found = int(db.execute(f"SELECT count(*) FROM run WHERE {where}", values).fetchone()[0])  # noqa: S608
        if len(self._counts) >= KEPT_COUNTS:
            self._counts = {}
        self._counts[query.filter] = (revision, found)
        return found

    def position(self, query: Query, run_id: str) -> int | None:
        """The place of a run in a query, counted from 0; None when the query does not find it."""
        terms = _terms(query)
        where, values = _where(query)
        fields = ", ".join(field for field, _ in terms)
        with self._reading() as db:
            key = db.execute(
                f"SELECT {fields} FROM run WHERE id = ? AND {where}",
                (storable(run_id), *values),  # noqa: S608
            ).fetchone()
            if key is None:
                return None
            before = 0
            for depth, (field, descending) in enumerate(terms):
                level = "".join(f" AND {same} = ?" for same, _ in terms[:depth])
                sign = ">" if descending else "<"
                sql = f"SELECT count(*) FROM run WHERE {where}{level} AND {field} {sign} ?"  # noqa: S608
                before += db.execute(sql, (*values, *key[: depth + 1])).fetchone()[0]
            return before

    def row(self, run_id: str) -> RunRow | None:
        """The row of one run, whatever the query."""
        with self._reading() as db:
            found = db.execute(f"SELECT {_ROW} FROM run WHERE id = ?", (storable(run_id),)).fetchone()  # noqa: S608
        return RunRow._make(found) if found else None

    def get(self, run_id: str) -> StoredRun | None:
        """One run as received."""
        with self._reading() as db:
            found = db.execute(
                "SELECT raw, workflow_id, workflow_name FROM run JOIN body USING (rowid) WHERE id = ?",
                (storable(run_id),),
            ).fetchone()
        return StoredRun(json.loads(found[0]), *found[1:]) if found else None

    def workflows(self) -> list[dict[str, Any]]:
        """The workflows as received, by name."""
        with self._reading() as db:
            found = db.execute("SELECT name, raw FROM workflow").fetchall()
        return [json.loads(raw) for _, raw in sorted(found, key=lambda pair: pair[0].casefold())]

    def totals(self, now: int | None = None) -> Totals:
        """The counts over all runs; `now` (ticks) decides which are stuck."""
        before = (now_ticks() if now is None else now) - STUCK_AFTER
        with self._reading() as db:
            by_status: dict[str, int] = dict(db.execute("SELECT status, runs FROM status_count"))
            stuck: int = db.execute(_COUNT_STUCK, (before,)).fetchone()[0]
        problems = sum(by_status.get(look.name, 0) for look in LOOKS.values() if look.is_problem)
        return Totals(sum(by_status.values()), by_status, by_status.get("failed", 0), problems + stuck, stuck)

    def meta(self, key: str, default: str = "") -> str:
        """A fact kept by `set_meta`."""
        with self._reading() as db:
            found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(found[0]) if found else default

    @property
    def revision(self) -> int:
        """A number that grows with every change of runs or workflows."""
        with self._reading() as db:
            return _revision(db)

    def _known_count(self, db: sqlite3.Connection, query: Query, revision: int) -> int | None:
        if query.filter is None:
            return int(db.execute("SELECT coalesce(sum(runs), 0) FROM status_count").fetchone()[0])
        counted_at, found = self._counts.get(query.filter, (None, 0))
        return found if counted_at == revision else None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, within one state of the store."""
        try:
            db: sqlite3.Connection | None = getattr(self._of_thread, "db", None)
            if db is None:
                db = self._of_thread.db = open_reader(self._path)
                self._readers.append(db)
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(self._path, error) from error

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, _Changed]]:
        """The writer's turn: one transaction, all or nothing, and the announcement of what it changed."""
        changed = _Changed()
        with self._writing_turn:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer, changed
                    if changed:
                        self._writer.execute("UPDATE state SET revision = revision + 1")
                    self._writer.execute("COMMIT")
                except BaseException:
                    self._writer.rollback()
                    raise
            except sqlite3.Error as error:
                raise StoreError(self._path, error) from error
        if changed:
            self._changes.announce(changed.news())


class _Changed:
    """What one transaction changed."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.many = False
        """Whether rows changed whose ids were not looked up."""

    def __bool__(self) -> bool:
        return self.many or bool(self.ids)

    def news(self) -> frozenset[str] | None:
        """What is announced: the ids, or None for many."""
        return None if self.many or len(self.ids) > MANY else frozenset(self.ids)


def _put(
    db: sqlite3.Connection,
    records: Mapping[str, tuple[RunRecord, str]],
    changed: _Changed,
    *,
    untouched: Collection[str] = (),
) -> set[int]:
    """Write what differs from what is stored; the row numbers of all the runs, changed or not."""
    if not records:
        return set()
    marks = ", ".join("?" * len(records))
    sql = f"SELECT id, rowid, workflow_id, status, raw FROM run JOIN body USING (rowid) WHERE id IN ({marks})"  # noqa: S608
    stored = {run_id: facts for run_id, *facts in db.execute(sql, tuple(records))}
    next_rowid = db.execute("SELECT coalesce(max(rowid), 0) + 1 FROM run").fetchone()[0]
    names: dict[str, str] = {}
    runs, bodies = [], []
    counts: Counter[str] = Counter()
    rowids = {facts[0] for facts in stored.values()}
    for run_id, (run, raw) in records.items():
        rowid, workflow_id, status, old_raw = stored.get(run_id, (next_rowid, None, None, None))
        if run_id in untouched or (old_raw == raw and workflow_id == run.workflow_id):
            continue
        if workflow_id is None:
            next_rowid += 1
            rowids.add(rowid)
        else:
            counts[status] -= 1
        counts[run.status] += 1
        name = names.get(run.workflow_id) or names.setdefault(run.workflow_id, _name(db, run.workflow_id))
        runs.append((rowid, name, name.casefold(), *run))
        bodies.append((rowid, raw))
        changed.ids.add(run_id)
    db.executemany(_PUT_RUN, runs)
    db.executemany("REPLACE INTO body VALUES (?, ?)", bodies)
    _add_counts(db, counts)
    return rowids


def _name(db: sqlite3.Connection, workflow_id: str) -> str:
    """The name of a workflow; one that is not known yet is called by its id until it is."""
    known = db.execute("SELECT name FROM workflow WHERE id = ?", (workflow_id,)).fetchone()
    if known is None:
        raw = json.dumps({"id": workflow_id})
        db.execute("INSERT INTO workflow VALUES (?, ?, ?)", (workflow_id, workflow_id, raw))
    return known[0] if known else workflow_id


def _delete(db: sqlite3.Connection, changed: _Changed, runs: Sequence[tuple[int, str, str]]) -> None:
    """Remove runs, given as (rowid, id, status)."""
    rowids = [(rowid,) for rowid, _, _ in runs]
    db.executemany("DELETE FROM run WHERE rowid = ?", rowids)
    db.executemany("DELETE FROM body WHERE rowid = ?", rowids)
    _add_counts(db, Counter({status: -number for status, number in Counter(run[2] for run in runs).items()}))
    changed.ids.update(run_id for _, run_id, _ in runs)


def _add_counts(db: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    """Carry the counts by status along. (Triggers would do it too, and make a page of new runs half as slow again.)"""
    db.executemany(
        "INSERT INTO status_count VALUES (?, ?) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs",
        [(status, number) for status, number in counts.items() if number],
    )
    db.execute("DELETE FROM status_count WHERE runs = 0")


def _revision(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT revision FROM state").fetchone()[0])


def _where(query: Query) -> tuple[str, tuple[Any, ...]]:
    return query.filter.where() if query.filter is not None else ("1", ())


def _terms(query: Query) -> tuple[tuple[str, bool], ...]:
    """The order of a query as (field, descending)."""
    column = COLUMN_BY_KEY[query.sort]
    upside_down = query.descending != column.descending_first
    return tuple((field, descending != upside_down) for field, descending in order_terms(column))


def _routes(
    start: int, count: int, total: int | None, anchor: _Anchor | None, terms: Sequence[tuple[str, bool]]
) -> Iterator[_Route]:
    """The ways to a window: from the top, from the bottom, and from either edge of the window last read."""
    yield _Route(start, backward=False)
    if total is not None:
        yield _Route(total - start - count, backward=True)
    # An index can be entered at a row only if all its fields run the same way.
    if anchor is not None and len({descending for _, descending in terms}) == 1:
        if start >= anchor.start:
            yield _Route(start - anchor.start, backward=False, edge=anchor.first)
        if start + count <= anchor.end:
            yield _Route(anchor.end - start - count, backward=True, edge=anchor.last)


def _walk(
    db: sqlite3.Connection, query: Query, terms: Sequence[tuple[str, bool]], route: _Route, count: int
) -> list[tuple[Any, ...]]:
    """The rows at the end of a route, in the order of the query, each with its order values after the cells."""
    where, values = _where(query)
    fields = ", ".join(field for field, _ in terms)
    order = ", ".join(f"{field} {'DESC' if descending != route.backward else 'ASC'}" for field, descending in terms)
    if route.edge is not None:
        sign = "<=" if terms[0][1] != route.backward else ">="
        where += f" AND ({fields}) {sign} ({', '.join('?' * len(terms))})"
        values = (*values, *route.edge)
    sql = f"SELECT {_ROW}, {fields} FROM run WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
    found = db.execute(sql, (*values, count, route.skip)).fetchall()
    return found[::-1] if route.backward else found
