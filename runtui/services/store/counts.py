"""The numbers of runs in the store: by status, by day, and by day of each workflow.

Invariant: counts by status are updated with each write. A day is one of the local zone, so one on which clocks change
is longer or shorter; a run belongs to the day on which it began or was due to begin. A count by day reads one stretch
of an index that has everything it needs: nothing is sorted, and no row is read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.domain.rows import NO_NUMBER, PROBLEM_SEVERITIES, SEVERITY, STUCK_AFTER
from runtui.domain.times import day_starts
from runtui.services.store.file import ACTIVE
from runtui.services.store.results import kept_object

if TYPE_CHECKING:
    from runtui.domain.triage.workflows import WorkflowHistory

# The SQL below is built from numbers of the domain; every time and id is a parameter.
# ruff: noqa: S608

_PROBLEM: Final = f"severity IN ({', '.join(map(str, PROBLEM_SEVERITIES))})"
_STUCK: Final = f"SELECT count(*) FROM run INDEXED BY active_run WHERE {ACTIVE} AND touched < ?"
_FAILURES: Final = f"SELECT count(*) FROM run WHERE {_PROBLEM} AND silence = 0 AND recency >= ? AND recency < ?"
_DAY: Final = (
    f"SELECT count(*), count(*) FILTER (WHERE severity >= {min(PROBLEM_SEVERITIES)}),"
    f" count(*) FILTER (WHERE severity = {SEVERITY['completed']}),"
    " coalesce(sum(failed_users) FILTER (WHERE failed_users > 0), 0)"
    " FROM run WHERE workflow_id = ? AND recency >= ? AND recency < ?"
)
"""The counts of a day; with FILTER they take half the time of sums over every run."""

_LAST_RUN: Final = "SELECT max(recency) FROM run WHERE workflow_id = ? AND recency BETWEEN 0 AND ?"
_LAST_HELD: Final = (
    f"SELECT workflow_id, nullif(total_users, {NO_NUMBER}), max(recency) FROM run"
    f" WHERE severity = {SEVERITY['quarantined']} GROUP BY workflow_id"
)
_LAST_READ: Final = (
    "SELECT workflow_id, run_row, max(recency) FROM reading CROSS JOIN run ON run.rowid = run_row GROUP BY workflow_id"
)
"""The last run of each workflow whose results were read."""

_TASKS: Final = "SELECT raw FROM task_result JOIN task_body USING (rowid) WHERE run_row = ? LIMIT 200"
"""The most results of a run that are read, enough to meet each of its tasks."""


class Totals(NamedTuple):
    """The numbers of all runs, without a filter."""

    by_status: Mapping[str, int]
    stuck: int
    """The number of running runs that nothing has updated for long."""


def totals(db: sqlite3.Connection, now: int) -> Totals:
    by_status = dict(db.execute("SELECT status, runs FROM status_count"))
    return Totals(by_status, db.execute(_STUCK, (now - STUCK_AFTER,)).fetchone()[0])


def failures_by_day(db: sqlite3.Connection, days: int, now: int) -> list[int]:
    return [db.execute(_FAILURES, bounds).fetchone()[0] for bounds in pairwise(day_starts(days, now))]


def histories(db: sqlite3.Connection, days: int, now: int) -> list[WorkflowHistory]:
    """Return every workflow with its last days, by name."""
    from runtui.domain.triage.workflows import Workflow, WorkflowDay, WorkflowHistory, task_names

    bounds = tuple(pairwise(day_starts(days, now)))
    held = {workflow_id: users for workflow_id, users, _ in db.execute(_LAST_HELD)}
    read = {workflow_id: run_row for workflow_id, run_row, _ in db.execute(_LAST_READ)}
    return [
        WorkflowHistory(
            Workflow(raw),
            tuple(WorkflowDay(*map(int, db.execute(_DAY, (key, *day)).fetchone())) for day in bounds),
            db.execute(_LAST_RUN, (key, now)).fetchone()[0],
            held.get(key),
            task_names(_tasks_of(db, read.get(key))),
        )
        for key, raw in workflows(db)
    ]


def workflows(db: sqlite3.Connection, only: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Return every workflow as received, with its id, by name; `only` is the id of a single one."""
    where, values = ("", ()) if only is None else ("WHERE id = ?", (only,))
    found = db.execute(f"SELECT id, CAST(name AS TEXT), raw FROM workflow {where}", values).fetchall()
    found.sort(key=lambda workflow: workflow[1].casefold())
    return [(key, kept_object(raw) or {"id": key, "displayName": name}) for key, name, raw in found]


def _tasks_of(db: sqlite3.Connection, run_row: int | None) -> Collection[dict[str, Any]]:
    """Return the tasks that a run began."""
    if run_row is None:
        return ()
    tasks = ((kept_object(raw) or {}).get("task") for (raw,) in db.execute(_TASKS, (run_row,)))
    return {str(task.get("id")): task for task in tasks if isinstance(task, dict)}.values()
