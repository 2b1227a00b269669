"""The runs and the results read for them, in SQLite: windows, counts and positions of a query, causes, people.

Invariant: the JSON of a run is kept as received; everything that the list shows and sorts by is derived from it in the
same transaction. An unchanged run is neither written nor announced. Nothing outside relies on row numbers. The file is
a copy of the server's data: if it is deleted, moved or replaced under a running runtui, it is created again from what
was read of it.

Threads: any thread may call any method. Writes take turns; each thread reads through its own connection, never waits
for a write, and sees one state per call. Changes are announced in the thread that wrote, once they can be read.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

from runtui.announcer import Announcer
from runtui.domain.columns import Needs
from runtui.domain.rows import NO_NUMBER, RunRow, StoredRun, cells_needed, storable
from runtui.domain.times import now_ticks
from runtui.services.foreground import Foreground
from runtui.services.store import results
from runtui.services.store.connections import Connections
from runtui.services.store.counts import Totals, failures_by_day, histories, totals, workflows
from runtui.services.store.file import (
    BY_ID,
    HISTORIES,
    ChangedRuns,
    StoredIds,
    add_order,
    as_json,
    delete_runs,
    missing_orders,
    put_runs,
    put_workflow,
)
from runtui.services.store.query import (
    EVERY_RUN,
    BrokenOffError,
    QueryCache,
    RunQuery,
    interrupted_when,
    pick,
    position,
    row_of,
    total_of,
    walk,
    where_of,
)
from runtui.services.store.results import IS_RUN, Person, Received, RunResults, UnreadRuns, kept_object
from runtui.services.triage.projection import with_triage

if TYPE_CHECKING:
    from runtui.domain.results import Cause, TaskResult
    from runtui.domain.triage.run_users import PersonResult
    from runtui.domain.triage.workflows import WorkflowHistory

__all__ = [
    "EVERY_RUN", "Person", "RunQuery", "RunRows", "Store", "StoredRun",
    "cells_of", "stored_runs", "workflow_name_of", "workflow_names_of", "workflow_of",
]  # fmt: skip

# The SQL below is built from column names and from conditions made by `domain.filters`; every value from a person or
# a server is a parameter.
# ruff: noqa: S608

MANY_RUNS: Final = 20_000
"""From this number of runs on, counting a filter may take more than a few milliseconds."""

FIRST_ROWS: Final = 200
FIRST_SECONDS: Final = 0.05
"""The rows that are drawn before all are counted, and how long they are searched along the order."""

_RUNS_IN_A_READ: Final = 1_000
"""The most runs that are read in one transaction: while somebody reads, the log grows."""

_MAX_USERS: Final = "SELECT (SELECT max(total_users) FROM run), (SELECT max(failed_users) FROM run)"
"""Each query reads one end of an index."""

_MAX_USERS_SO_FAR: Final = (
    "SELECT max(total_users), max(failed_users) FROM (SELECT total_users, failed_users FROM run LIMIT 10000)"
)
"""The same while those indexes are missing, from the first runs only."""


class _SeenRows:
    """The rows of a listing's pages so far, one bit each."""

    def __init__(self) -> None:
        self._listing = 0
        self._marks = bytearray(b"\1")
        """There is no row 0; it counts as seen."""

    def of(self, listing: int) -> Self:
        """Return the rows of a listing; a later listing starts empty."""
        if listing > self._listing:
            self._listing, self._marks = listing, bytearray(b"\1")
        return self

    def has_all(self, last: int) -> bool:
        """Return True if every row from the first to `last` was seen."""
        whole, rest = divmod(last + 1, 8)
        return self._marks.count(0xFF, 0, whole) == whole and all(whole * 8 + row in self for row in range(rest))

    def __contains__(self, row: object) -> bool:
        return isinstance(row, int) and row >> 3 < len(self._marks) and bool(self._marks[row >> 3] & 1 << (row & 7))

    def add(self, rows: Collection[int]) -> list[int]:
        """Add rows; return those that are new."""
        marks = self._marks
        marks.extend(bytes(max(0, (max(rows, default=0) >> 3) + 1 - len(marks))))
        new = [row for row in sorted(rows) if not marks[row >> 3] & 1 << (row & 7)]
        for row in new:
            marks[row >> 3] |= 1 << (row & 7)
        return new


class Store:
    """The runs of one Graph root."""

    def __init__(self, path: Path, foreground: Foreground | None = None) -> None:
        """Open the file, or create it again if it has another version. Storing many runs gives way to `foreground`.

        Raises:
            StoreError: the file cannot be created, read or written.
        """
        self.foreground = foreground or Foreground()
        self.connections = Connections(path, self._begin_again)
        self.changed: Announcer[frozenset[str] | None] = Announcer()
        """The ids of the changed runs; None for many."""
        self.results_read: Announcer[str] = Announcer()
        """The id of a run whose results are in the store now; the run itself is the same."""
        self._listing = 0
        self._seen = _SeenRows()
        self._stored_ids = StoredIds()
        self._answered: dict[str, int] = {}
        """The runs stored by `put_run`, each with the listing that was in progress."""
        self.doubted: set[str] = set()
        """The workflows whose stored runs may be incomplete or outdated: the next listing reads all of them."""
        self._query_cache = QueryCache()
        self.missing_orders = set(missing_orders(self.connections.writer))
        """The columns without an index so far: the first window sorted by one reads every run."""
        self._wanted_orders: set[str] = set()
        """The columns that a list is sorted by."""

    def close(self) -> None:
        """Close every connection; nothing may be called afterwards."""
        self.connections.close()

    # Writing

    def next_listing(self) -> int:
        """Return the number of a listing that begins now; call it right before the first request.

        A run that `put_run` stores from now on is overwritten only by a page with a later change of it.
        """
        with self.connections.turn:
            self._listing += 1
            return self._listing

    def put_workflows(self, workflows: Iterable[Mapping[str, Any]]) -> None:
        """Store workflows as received, each with an `id`."""
        with self.writing() as (db, changes):
            for raw in workflows:
                put_workflow(db, changes, raw)

    def keep_workflows(self, workflow_ids: Collection[str]) -> None:
        """Remove all other workflows, with their runs."""
        kept = {storable(workflow_id) for workflow_id in workflow_ids}
        with self.writing() as (db, changes):
            for (workflow_id,) in db.execute("SELECT id FROM workflow").fetchall():
                if workflow_id not in kept:
                    for table in ("workflow WHERE id", "listing WHERE workflow_id"):
                        db.execute(f"DELETE FROM {table} = ?", (workflow_id,))
                    delete_runs(db, changes, workflow_id)

    def put_runs(
        self,
        workflow_id: str,
        runs: Sequence[Mapping[str, Any]],
        listing: int,
        texts: Sequence[str] | None = None,
    ) -> list[int]:
        """Store one page of a workflow's runs, each with an `id`; return the rows that no earlier page of this listing
        had. `texts` are the runs as JSON in ASCII, each on one line; None makes them."""
        pairs = zip(runs, texts or map(as_json, runs), strict=True)
        received = {storable(raw["id"]): (raw, text) for raw, text in pairs}
        with self.writing() as (db, changes):
            answered = {run_id for run_id, during in self._answered.items() if during >= listing}
            while self._wanted_orders:  # only while they are few
                add_order(db, key := self._wanted_orders.pop())
                self.missing_orders.discard(key)
            rows = put_runs(
                db, changes, workflow_id, received, self.foreground, stored_ids=self._stored_ids, answered=answered
            )
        with self.connections.turn:  # if they could not be written, their numbers go to the next runs
            return self._seen.of(listing).add(rows)

    def put_run(self, workflow_id: str, *raws: Mapping[str, Any]) -> None:
        """Store some runs of one workflow, each with an `id`, from the answers to GETs or PATCHes, without the context
        of the answer: a listing has none, so the same run would count as changed."""
        own = ({name: value for name, value in raw.items() if name != "@odata.context"} for raw in raws)
        received = {storable(raw["id"]): (raw, as_json(raw)) for raw in own}
        with self.writing() as (db, changes):
            rows = put_runs(db, changes, workflow_id, received, self.foreground, stored_ids=self._stored_ids)
            self._answered |= dict.fromkeys(received, self._listing)
            self._seen.of(self._listing).add(rows)

    def finish_listing(self, workflow_id: str, listing: int) -> None:
        """Remove the runs of a workflow that no page of this listing had: they are gone on the server."""
        with self.writing() as (db, changes):
            seen, (last,) = self._seen.of(listing), db.execute("SELECT coalesce(max(rowid), 0) FROM run").fetchone()
            if not seen.has_all(last):  # otherwise nothing is gone, and the first listing has no index of a workflow
                delete_runs(db, changes, storable(workflow_id), kept=seen)

    def unseen(self, workflow_ids: Iterable[str]) -> set[str]:
        """Return the ids of the stored runs of some workflows that no page of the last listing had."""
        seen = self._seen.of(self._listing)
        with self.reading() as db:
            return {
                run_id
                for workflow_id in workflow_ids
                for row, run_id in db.execute(
                    "SELECT rowid, CAST(id AS TEXT) FROM run WHERE workflow_id = ?", (storable(workflow_id),)
                )
                if row not in seen
            }

    def complete_orders(self, sorts: Iterable[str] | None = None) -> None:
        """Build the indexes of some sort orders, or of all (None), after a listing. Call it in a thread."""
        missing = self.missing_orders.copy() if sorts is None else self.missing_orders.intersection(sorts)
        while missing:
            key = next(iter(missing & self._wanted_orders or missing & {BY_ID} or missing))
            with self.writing() as (db, _):
                add_order(db, key)
            missing.discard(key)
            self.missing_orders.discard(key)
            if BY_ID not in self.missing_orders:
                self._stored_ids = StoredIds()  # the index replaces it: megabytes are free for the others

    def put_results(
        self, run_id: str, as_of: int, tasks: Received, users: Received, *, part: int | None = None
    ) -> None:
        """Store all results of a run as received, in place of earlier ones; nothing if the run is gone.

        `as_of` is the lastUpdatedDateTime that the run had before the request (ticks, NO_NUMBER without one). `part` is
        the return value of `put_part` if these are the last of several parts.
        """
        with self.writing() as (db, _):
            if (row := results.run_row_of(db, storable(run_id))) is not None:
                results.put_results(db, row, as_of, tasks, users, part=part)
        if row is not None:
            self.results_read.announce(storable(run_id))

    def put_part(self, run_id: str, tasks: Received, users: Received, *, part: int | None = None) -> int:
        """Keep some results of a large run aside until `put_results` gets the last part.

        Returns:
            The `part` for the next call; pass None in the first call.
        """
        with self.writing() as (db, _):
            row = results.run_row_of(db, storable(run_id))
            return results.put_part(db, row, tasks, users, part) if row is not None else 0

    def put_names(self, named: Iterable[tuple[str, str, str]]) -> None:
        """Store the names of users in results: (id, display name, userPrincipalName) each."""
        with self.writing() as (db, _):
            results.put_names(db, ((storable(key), storable(name), storable(upn)) for key, name, upn in named))

    # Reading

    def window(self, query: RunQuery, start: int, count: int) -> list[RunRow]:
        """Return the rows `start` to `start + count` of a query; fewer at its end. Quickest after a `count` of that
        query."""
        start, count = max(0, start), max(0, count)
        self._wanted_orders |= {query.sort} & self.missing_orders
        with self.reading() as db:
            found = self._query_cache.kept(query, _revision_for(db, query))
            if found is not None:
                return with_triage(db, pick(db, found[start : start + count]))
            return with_triage(db, walk(db, query, start, count, total_of(db) if query.filter is None else None))

    def count(self, query: RunQuery, is_over: Callable[[], bool] = lambda: False) -> int:
        """Return how many runs match a query. With a filter it may read all rows: call it in a thread.

        Raises:
            BrokenOffError: the caller no longer wants the number.
        """
        with self.reading() as db, interrupted_when(db, is_over):
            revision = _revision_for(db, query)
            return total_of(db) if query.filter is None else len(self._query_cache.all(db, query, revision))

    def count_first(self, query: RunQuery, most: int, seconds: float) -> int:
        """Return how many runs match a query, at most so many, which `window` can then return; 0 if they are found
        neither along the order in so many seconds nor by an index for the filter in twice as many."""
        for by_index in (False, True):
            end = monotonic() + seconds * (2 if by_index else 1)
            with suppress(BrokenOffError), self.reading() as db, interrupted_when(db, lambda: monotonic() > end):  # noqa: B023
                return len(self._query_cache.first(db, query, _revision_for(db, query), most, by_index=by_index))
        return 0

    def position(self, query: RunQuery, run_id: str) -> int | None:
        """Return the position of a run in a query, from 0; None if the query does not match it."""
        run_id = storable(run_id)
        with self.reading() as db:
            found = self._query_cache.kept(query, _revision_for(db, query))
            if found is None:
                return position(db, query, run_id)
            row = row_of(db, run_id)
            with suppress(ValueError):
                return found.index(row.rowid) if row else None
        return None

    def ids(self, query: RunQuery) -> list[str]:
        """Return the ids of the runs that match a query, in no order. Call it in a thread."""
        where, values = where_of(query)
        with self.reading() as db:
            return [run_id for (run_id,) in db.execute(f"SELECT id FROM run WHERE {where}", values)]

    def get(self, run_id: str) -> StoredRun | None:
        """Return a run; None if it is missing or cannot be read."""
        return next(iter(stored_runs(self, [run_id])), None)

    def workflows(self) -> list[dict[str, Any]]:
        """Return the workflows as received, by name."""
        with self.reading() as db:
            return [raw for _, raw in workflows(db)]

    def totals(self, now: int | None = None) -> Totals:
        """Return the counts over all runs; `now` (ticks) decides which are stuck."""
        with self.reading() as db:
            return totals(db, now_ticks() if now is None else now)

    def failures_by_day(self, days: int, now: int | None = None) -> list[int]:
        """Return how many runs of each of the last `days` days failed, today last; a run belongs to the day on which it
        began."""
        with self.reading() as db:
            return failures_by_day(db, days, now_ticks() if now is None else now)

    def histories(self, days: int, now: int | None = None) -> list[WorkflowHistory]:
        """Return every workflow with its last `days` days, by name. Call it in a thread."""
        self.complete_orders({HISTORIES})
        with self.reading() as db:
            return histories(db, days, now_ticks() if now is None else now)

    def value_counts(self, column: str, most: int = 1_000) -> list[tuple[str, int]]:
        """Return the values of a column with their number of runs, the commonest first. Call it in a thread."""
        with self.reading() as db:  # SQLite would hold every run in memory to sort them
            counts = Counter(chain.from_iterable(db.execute(f"SELECT {column} FROM run")))
        return sorted(counts.items(), key=lambda counted: (-counted[1], counted[0]))[:most]

    # Reading results

    def results_of(self, run_id: str, *, with_users: bool = False) -> RunResults | None:
        """Return what was read of a run, as `results.results_of` does. Call it in a thread."""
        with self.reading() as db:
            return results.results_of(db, storable(run_id), with_users=with_users)

    def tasks_of(self, run_id: str, subject_id: str) -> list[TaskResult]:
        """Return what the tasks of a run did for one subject, as far as it was read."""
        with self.reading() as db:
            return results.tasks_of(db, storable(run_id), subject_id)

    def as_of(self, run_id: str) -> int:
        """Return the `as_of` for `put_results` if the results of a run are requested now."""
        with self.reading() as db:
            found = db.execute(f"SELECT last_updated FROM run WHERE {IS_RUN}", (storable(run_id),)).fetchone()
        return int(found[0]) if found else NO_NUMBER

    def unread_runs(self, query: RunQuery, now: int, most: int) -> UnreadRuns:
        """Return the problem runs of a query whose results are missing or outdated, newest first, at most so many."""
        with self.reading() as db:
            return results.unread_runs(db, where_of(query), now, most)

    def causes(self, query: RunQuery) -> list[Cause]:
        """Return the known failures in the runs of a query by cause. Call it in a thread."""
        with self.reading() as db:
            return results.causes(db, where_of(query))

    def failures_of_cause(self, query: RunQuery, key: str, most: int) -> list[TaskResult]:
        """Return the latest failures of a cause in the runs of a query, at most so many. Call it in a thread."""
        with self.reading() as db:
            return results.failures_of_cause(db, where_of(query), key, most)

    def people(self, text: str, most: int) -> list[Person]:
        """Return the people in results with `text` in name, UPN or id, by name. Call it in a thread."""
        with self.reading() as db:
            return results.people(db, text, most)

    def results_of_person(self, subject_id: str) -> list[PersonResult]:
        """Return what tasks did for a person over all runs that were read, newest first. Call it in a thread."""
        with self.reading() as db:
            return results.results_of_person(db, subject_id)

    # Connections

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return this thread's connection, within one state of the store."""
        return self.connections.reading()

    @contextmanager
    def writing(self) -> Iterator[tuple[sqlite3.Connection, ChangedRuns]]:
        """Yield a connection for one transaction that is written completely or not at all; then announce its
        changes."""
        changes = ChangedRuns()
        with self.connections.writing() as db:
            yield db, changes
            if changes:
                db.execute("UPDATE state SET revision = revision + 1")
        if changes:
            self.changed.announce(changes.news())

    def _begin_again(self, writer: sqlite3.Connection) -> None:
        """Forget what was known of a file that another one replaces."""
        self.missing_orders = set(missing_orders(writer))
        self._query_cache, self._seen, self._stored_ids, self._answered = QueryCache(), _SeenRows(), StoredIds(), {}


def workflow_of(store: Store, workflow_id: str) -> dict[str, Any] | None:
    """Return a workflow as received; None if it is not listed."""
    with store.reading() as db:
        return next((raw for _, raw in workflows(db, storable(workflow_id))), None)


def workflow_name_of(store: Store, run_id: str, workflow_id: str) -> str:
    """Return the name of a run's workflow; its id if the run or the workflow is not listed."""
    if (stored := store.get(run_id)) is not None:
        return stored.workflow_name
    return str((workflow_of(store, workflow_id) or {}).get("displayName") or workflow_id)


def workflow_names_of(store: Store, run_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of the workflows of some runs, by run id; unlisted ones are left out."""
    by_stored_id = {storable(run_id): run_id for run_id in run_ids}
    with store.reading() as db:
        found = results.rows_of_runs(db, "id, workflow_name", by_stored_id)
        return {by_stored_id[run_id]: name for run_id, name in found}


def cells_of(store: Store) -> Needs:
    """Return the cells of the widest values of the list, over all runs, or the first ones while an index is missing."""
    with store.reading() as db:
        statuses = [status for (status,) in db.execute("SELECT status FROM status_count")]
        names = [name for (name,) in db.execute("SELECT name FROM workflow")]
        most = db.execute(_MAX_USERS_SO_FAR if missing_orders(db) else _MAX_USERS).fetchone()
    return cells_needed(statuses, names, *(count if isinstance(count, int) else 0 for count in most))


def stored_runs(store: Store, run_ids: Iterable[str], is_over: Callable[[], bool] = lambda: False) -> list[StoredRun]:
    """Return some runs in the order of their ids, not all if `is_over` returns True. Call it in a thread: 20,000 take a
    quarter of a second. Those that are missing or cannot be read are left out; the workflows of the latter are then
    doubted."""
    runs: list[StoredRun] = []
    wanted = iter(sorted(run_ids))
    columns = "id, workflow_id, workflow_name, (SELECT raw FROM body WHERE body.rowid = run.rowid)"
    while not is_over() and (part := {storable(run_id): run_id for run_id in islice(wanted, _RUNS_IN_A_READ)}):
        with store.reading() as db:
            found = list(results.rows_of_runs(db, columns, part))
        for stored_as, workflow_id, name, text in found:
            if (raw := kept_object(text)) is not None:
                runs.append(StoredRun(part[stored_as], workflow_id, name, raw))
            else:
                store.doubted.add(workflow_id)
    return runs


class RunRows:
    """The rows of a query, in its order."""

    def __init__(self, store: Store, query: RunQuery, total: int | None = None) -> None:
        self.store = store
        self.query = query
        self.total = total
        """The number of shown rows if only the first are known so far."""

    @property
    def is_slow_to_count(self) -> bool:
        """True if counting belongs into a thread; otherwise it takes a few milliseconds at most."""
        is_at_hand = self.query.filter is None and self.query.sort not in self.store.missing_orders
        return not is_at_hand and self.store.count(EVERY_RUN) >= MANY_RUNS

    def count_first(self) -> int:
        """Return how many first rows are found quickly, for `total`. Call it in a thread."""
        return self.store.count_first(self.query, FIRST_ROWS, FIRST_SECONDS) if self.query.filter is not None else 0

    def find(self, is_over: Callable[[], bool]) -> None:
        """Find, sort and count the rows, and return the memory that this took. Call it in a thread.

        Raises:
            BrokenOffError: the caller no longer wants them.
        """
        from runtui.graph.network import return_free_memory  # it imports ssl, and nothing counts that early

        self.store.complete_orders({self.query.sort})
        self.store.count(self.query, is_over)
        return_free_memory()

    def count(self) -> int:
        return self.store.count(self.query) if self.total is None else self.total

    def window(self, start: int, count: int) -> list[RunRow]:
        return self.store.window(self.query, start, count)

    def position(self, run_id: str) -> int | None:
        return self.store.position(self.query, run_id)


def _revision_for(db: sqlite3.Connection, query: RunQuery) -> tuple[int, int]:
    [(revision,)] = db.execute("SELECT CAST(revision AS INTEGER) FROM state")
    return revision, results.results_revision(db) if query.reads_results else 0
