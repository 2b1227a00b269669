"""Runs in the order of a query: windows, positions, neighbours, in SQL.

Invariant: every order is total, since the row number decides last, and has an index; so a window at either end costs
only what it shows. A filter is checked row by row.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, compress, product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from runtui.domain.rows import NO_NUMBER, ROW_PROPERTIES, RUN_COLUMN_BY_KEY, RunRow, storable
from runtui.services.store.file import order_terms
from runtui.services.store.results import IS_RUN

if TYPE_CHECKING:
    from runtui.domain.filter_tree import Filter

# The SQL below is built from column names and from conditions made by `domain.filters`; every value from a person or
# a server is a parameter.
# ruff: noqa: S608


class RunQuery(NamedTuple):
    """What the list shows: which runs, in which order."""

    filter: Filter | None = None
    """The filter; None means every run."""
    sort: str = "status"
    """The key of a column. The default order has the most urgent first, then the newest; see `silence` in INDEXED."""
    descending: bool = True

    @property
    def reads_results(self) -> bool:
        """True if the runs that it finds depend on their results, too."""
        return self.filter is not None and self.filter.reads_results


EVERY_RUN: Final = RunQuery()
"""No filter, in the default order. Its count costs the same for any number of runs, unlike `Store.totals`."""

Terms: TypeAlias = Sequence[tuple[str, bool]]
"""An order: fields, each with whether it is descending."""

RowNumbers: TypeAlias = "array[int]"
"""The row numbers that match a query, in its order: four bytes each."""

Revision: TypeAlias = tuple[int, int]
"""The revision of the runs, and of the results if the filter depends on them."""

_CACHED_QUERIES: Final = 2

_ROW: Final = ", ".join(
    ("rowid", "id", "workflow_id", "workflow_name", *(f"nullif({item.column}, {NO_NUMBER})" for item in ROW_PROPERTIES))
)
"""The columns of a RunRow, with None for a number that the run does not have."""

_STEPS_BETWEEN_LOOKS: Final = 20_000
"""A number of SQLite instructions that takes about a millisecond."""

_LOOK_UPS_PER_STEP: Final = 16
"""Looking up a row costs as much as this many steps along an index."""

_COUNTS: Final = (*product((1_000, 16_000), (False, True)), (0, False))
"""The counts to try until one ends: the most rows to count (0: all), and whether after the run, not before it."""

_KEYS: Final = tuple(item.key for item in ROW_PROPERTIES)


def total_of(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(sum(runs), 0) FROM status_count").fetchone()[0])


def walk(db: sqlite3.Connection, query: RunQuery, start: int, count: int, total: int | None = None) -> list[RunRow]:
    """Return the rows `start` to `start + count`, from the nearer end if the `total` is known."""
    terms = _terms(query)
    skip, backward = start, False
    if total is not None:
        count = min(count, total - start)
        if (from_end := total - start - count) < start:
            skip, backward = from_end, True
    if count <= 0:
        return []
    where, values = where_of(query)
    sql = f"SELECT {_ROW} FROM run WHERE {where} ORDER BY {_order(terms, backward=backward)} LIMIT ? OFFSET ?"
    rows = [_row(found) for found in db.execute(sql, (*values, count, skip))]
    return rows[::-1] if backward else rows


_BODY: Final = (
    "(SELECT CASE WHEN raw GLOB '{*' THEN raw ELSE json('{' || raw) END FROM body WHERE body.rowid = run.rowid)"
)
"""The JSON of a run. SQLite calls anything but an object malformed."""


class RunText(NamedTuple):
    """One stored run and its workflow."""

    id: str
    workflow_id: str
    workflow_name: str
    raw: str
    """Its JSON in ASCII, on one line."""


def texts(db: sqlite3.Connection, query: RunQuery, rows: Sequence[int] | None = None) -> Iterator[RunText]:
    """Yield all runs of a query in its order; or the given rows, in the order of their numbers."""
    where, values = where_of(query)
    found = f"SELECT id, CAST(workflow_id AS TEXT), workflow_name, {_BODY} FROM"
    if rows is None and query.filter is None:
        return map(RunText._make, db.execute(f"{found} run ORDER BY {_order(_terms(query))}"))
    if rows is None:
        rows = in_order(db, query, find(db, query)).tolist()
    sql = f"{found} (SELECT value FROM json_each(?)) AS wanted CROSS JOIN run ON run.rowid = wanted.value WHERE {where}"
    return map(RunText._make, db.execute(sql, (json.dumps(rows), *values)))


def found_ids(db: sqlite3.Connection, query: RunQuery) -> Iterator[tuple[str, str]]:
    """Yield the ids of all runs of a query and of their workflows, in its order."""
    where, values = where_of(query)
    # A plus keeps SQLite from walking along the order, which would look up every run of the store one by one.
    order = _order([(f"+{field}", descending) for field, descending in _terms(query)])
    return db.execute(f"SELECT id, CAST(workflow_id AS TEXT) FROM run WHERE {where} ORDER BY {order}", values)


def rows_of(db: sqlite3.Connection, workflow_id: str) -> list[int]:
    """Return the rows of a workflow in the order in which they were first stored."""
    sql = "SELECT rowid FROM run WHERE workflow_id = ? ORDER BY rowid"
    return [row for (row,) in db.execute(sql, (storable(workflow_id),))]


class BrokenOffError(Exception):
    """The caller no longer wants the result."""


@contextmanager
def interrupted_when(db: sqlite3.Connection, is_over: Callable[[], bool]) -> Iterator[None]:
    """Interrupt the queries of a connection as soon as `is_over` returns True.

    Raises:
        BrokenOffError: it did.
    """
    db.set_progress_handler(is_over, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise BrokenOffError from None
    finally:
        db.set_progress_handler(None, 0)


def find(db: sqlite3.Connection, query: RunQuery) -> RowNumbers:
    """Return all rows of a query, in no order. It reads every row that no index rules out."""
    where, values = where_of(query)
    return array("I", chain.from_iterable(db.execute(f"SELECT rowid FROM run WHERE {where}", values)))


def in_order(db: sqlite3.Connection, query: RunQuery, rows: RowNumbers) -> RowNumbers:
    """Return some rows in the order of a query: each looked up, or picked from the order of all, whichever costs
    less."""
    order = _order(_terms(query))
    if len(rows) < total_of(db) // _LOOK_UPS_PER_STEP:
        wanted = "(SELECT value FROM json_each(?)) AS wanted"
        sql = f"SELECT run.rowid FROM {wanted} CROSS JOIN run ON run.rowid = wanted.value ORDER BY {order}"
        return array("I", chain.from_iterable(db.execute(sql, (json.dumps(rows.tolist()),))))
    everything = array("I", chain.from_iterable(db.execute(f"SELECT rowid FROM run ORDER BY {order}")))
    if len(rows) == len(everything):
        return everything
    is_found = bytearray(max(everything, default=0) + 1)
    for row in rows:
        is_found[row] = 1
    return array("I", compress(everything, map(is_found.__getitem__, everything)))


class _FoundRows(NamedTuple):
    """The rows of a filtered query, and the state of the store in which they were found."""

    revision: Revision
    rows: RowNumbers
    is_partial: bool = False
    """True if these are only the first."""


class QueryCache:
    """The rows of the last filtered queries."""

    def __init__(self) -> None:
        self._kept: dict[RunQuery, _FoundRows] = {}

    def kept(self, query: RunQuery, revision: Revision, *, whole: bool = False) -> RowNumbers | None:
        """Return the rows of a query in its order, or the first of them unless `whole`, if they are known and still
        valid."""
        for key in (query, query._replace(descending=not query.descending)):
            found = self._kept.get(key)
            if found is not None and found.revision == revision and not (found.is_partial and (whole or key != query)):
                return found.rows if key == query else self._keep(query, found._replace(rows=found.rows[::-1]))
        return None

    def all(self, db: sqlite3.Connection, query: RunQuery, revision: Revision) -> RowNumbers:
        """Return all rows of a query, in its order."""
        if (known := self.kept(query, revision, whole=True)) is not None:
            return known
        # The rows of an outdated state go first: at a million runs, they and the new ones take megabytes each.
        self._kept = {key: found for key, found in self._kept.items() if found.revision[0] == revision[0]}
        whole = {key: found for key, found in self._kept.items() if found.revision == revision and not found.is_partial}
        in_another_order = next((found.rows for key, found in whole.items() if key.filter == query.filter), None)
        rows = find(db, query) if in_another_order is None else in_another_order
        return self._keep(query, _FoundRows(revision, in_order(db, query, rows)))

    def first(
        self, db: sqlite3.Connection, query: RunQuery, revision: Revision, most: int, *, by_index: bool = False
    ) -> RowNumbers:
        """Return the first rows of a query, found by a walk in its order: quick if many runs match the filter. With
        `by_index`, sort what indexes find: quick if those runs come late in the order; none if no index helps."""
        if (rows := self.kept(query, revision)) is not None:
            return rows
        where, values = where_of(query)
        # A plus keeps SQLite from using an index for the condition, so that only the walk along the order is left.
        sql = f"SELECT rowid FROM run WHERE {'' if by_index else '+'}({where}) ORDER BY {_order(_terms(query))} LIMIT ?"
        if by_index and "SCAN" in str(db.execute(f"EXPLAIN QUERY PLAN {sql}", (*values, most)).fetchall()):
            return array("I")
        rows = array("I", chain.from_iterable(db.execute(sql, (*values, most))))
        return self._keep(query, _FoundRows(revision, rows, is_partial=len(rows) == most))

    def _keep(self, query: RunQuery, found: _FoundRows) -> RowNumbers:
        same = (query, query._replace(descending=not query.descending))  # the rows of one are those of the other
        others = [item for item in self._kept.items() if item[0] not in same]
        self._kept = dict([*others[1 - _CACHED_QUERIES :], (query, found)])
        return found.rows


def pick(db: sqlite3.Connection, numbers: RowNumbers) -> list[RunRow]:
    """Return the rows with these numbers, in the order of the numbers."""
    sql = f"SELECT {_ROW} FROM run WHERE rowid IN ({', '.join('?' * len(numbers))})"
    rows = {row.rowid: row for row in map(_row, db.execute(sql, tuple(numbers)))}
    return [rows[number] for number in numbers]


def row_of(db: sqlite3.Connection, run_id: str) -> RunRow | None:
    found = db.execute(f"SELECT {_ROW} FROM run WHERE {IS_RUN}", (run_id,)).fetchone()
    return _row(found) if found else None


def position(db: sqlite3.Connection, query: RunQuery, run_id: str) -> int | None:
    """Return how many rows of the query come before a run; None if the query does not match it. Without a filter, rows
    are counted from the nearer end."""
    terms = _terms(query)
    where, values = where_of(query)
    fields = ", ".join(field for field, _ in terms)
    key = db.execute(f"SELECT {fields} FROM run WHERE {IS_RUN} AND {where}", (run_id, *values)).fetchone()
    if key is None:
        return None
    for most, backward in _COUNTS if query.filter is None else _COUNTS[-1:]:
        counted = 0
        # First come the rows that differ in the first field, then those equal in it that differ in the second, and so
        # on: each of these is one stretch of the index.
        for depth, (field, descending) in enumerate(terms):
            equal = "".join(f" AND {same} = ?" for same, _ in terms[:depth])
            beyond = f"run WHERE {where}{equal} AND {field} {'>' if descending != backward else '<'} ?"
            source = f"(SELECT 1 FROM {beyond} LIMIT {most})" if most else beyond  # a limit doubles the time for a row
            counted += db.execute(f"SELECT count(*) FROM {source}", (*values, *key[: depth + 1])).fetchone()[0]
        if counted < most:
            break
    return total_of(db) - 1 - counted if backward else counted


def following(db: sqlite3.Connection, query: RunQuery, run_id: str) -> RunRow | None:
    """Return the first row of a query after a run, which need not match the query; after the last row, the first. None
    if nothing matches. It reads from that run on until a row matches."""
    terms = _terms(query)
    where, values = where_of(query)
    fields = ", ".join(field for field, _ in terms)
    key = db.execute(f"SELECT {fields} FROM run WHERE {IS_RUN}", (run_id,)).fetchone()
    # Rows that differ only in the last field come before those that differ in the one before it, and so on.
    for depth in reversed(range(len(terms)) if key is not None else ()):
        field, descending = terms[depth]
        equal = "".join(f" AND {same} = ?" for same, _ in terms[:depth])
        sql = f"SELECT {_ROW} FROM run WHERE {where}{equal} AND {field} {'<' if descending else '>'} ?"
        sql += f" ORDER BY {_order(terms)} LIMIT 1"
        if (found := db.execute(sql, (*values, *key[: depth + 1])).fetchone()) is not None:
            return _row(found)
    return next(iter(walk(db, query, 0, 1)), None)


def _row(found: tuple[Any, ...]) -> RunRow:
    rowid, run_id, workflow_id, workflow_name, *values = found
    return RunRow(rowid, run_id, workflow_id, workflow_name, dict(zip(_KEYS, values, strict=True)))


def where_of(query: RunQuery) -> tuple[str, tuple[Any, ...]]:
    return query.filter.where() if query.filter is not None else ("1", ())


def _terms(query: RunQuery) -> Terms:
    column = RUN_COLUMN_BY_KEY[query.sort]
    upside_down = query.descending != column.descending_first
    return [(field, descending != upside_down) for field, descending in order_terms(column)]


def _order(terms: Terms, *, backward: bool = False) -> str:
    return ", ".join(f"{field} {'DESC' if descending != backward else 'ASC'}" for field, descending in terms)
