"""The tenant in SQLite, in memory: what requests read and write.

Invariant: a run in progress is brought up to date before it is read; once a client has written to it, it stays as
written. SQL is built from the columns that `entities.py` declares; values are always parameters.
"""
# ruff: noqa: S608 - see the invariant

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from runtui.domain.times import parse_ticks
from runtui.sandbox.entities import (
    ENTITY_TYPES,
    EXECUTION_TYPE_OF_TOMORROW,
    RUN,
    STATUS_OF_TOMORROW,
    SUBJECT_RESULT,
    TASK_RESULT,
    USER_RESULT,
    WORKFLOW,
    EntityType,
    Row,
)
from runtui.sandbox.query import CollectionQuery, SortKey
from runtui.sandbox.tenant.people import People
from runtui.sandbox.tenant.runs import RunPlan, run_state, subject_results, task_results, user_results
from runtui.sandbox.tenant.seed import plan_of_tomorrow
from runtui.sandbox.tenant.workflows import Workflow, workflow_state

_SQL_TYPES: Final = {"count": "INTEGER", "boolean": "INTEGER", "datetime": "INTEGER"}
_RESULTS: Final = {
    USER_RESULT.name: user_results,
    SUBJECT_RESULT.name: subject_results,
    TASK_RESULT.name: task_results,
}
"""What computes the results of a run, by the name of their entity type."""


class ResultPage(NamedTuple):
    """One page of a collection, in order."""

    rows: list[Row]
    next_key: SortKey | None
    """Where the next page starts; None on the last one."""
    total: int | None
    """How many rows the collection has, if the query asks for it."""


class Database:
    """The workflows, runs and results of one seeded tenant, and its people.

    Args:
        workflows: Its workflows.
        plans: Its runs.
        seed: Which tenant it is.
        clock: The present in ticks.
        names: Takes the place of the display names of its people.
    """

    def __init__(
        self,
        workflows: Iterable[Workflow],
        plans: list[RunPlan],
        *,
        seed: int,
        clock: Callable[[], int],
        names: tuple[str, ...] = (),
    ) -> None:
        self._clock = clock
        everybody = People(seed, names)
        self.people = People(seed, names, deleted={user for plan in plans for user in plan.deleted(everybody)})
        self._sql = sqlite3.connect(":memory:", isolation_level=None)
        self._sql.execute("BEGIN")
        for entity in ENTITY_TYPES:
            self._sql.execute(_create_table(entity))
        now = clock()
        self._insert(WORKFLOW, (workflow_state(item, seed, now) for item in workflows))
        self._insert(RUN, (run_state(plan, now) for plan in plans))
        self._sql.execute('CREATE INDEX "runs of a workflow" ON "run" ("workflowId")')
        self._sql.execute("COMMIT")
        self._plans = {plan.id: plan for plan in plans}
        self._moving = {plan.id: plan for plan in plans if plan.rests > now}
        self._workflows = tuple(workflows)
        self._writes: Counter[str] = Counter()

    def close(self) -> None:
        self._sql.close()

    def page(self, entity: EntityType, owner: Mapping[str, str], query: CollectionQuery) -> ResultPage:
        """One page of the collection that `owner` (owner columns and their values) has."""
        self._refresh(entity, owner)
        scope = " AND ".join((*(f'"{column}" = ?' for column in owner), query.where.sql))
        parameters = (*owner.values(), *query.where.parameters)
        total = None
        if query.count and query.after is None:
            total = self._sql.execute(f'SELECT count(*) FROM "{entity.name}" WHERE {scope}', parameters).fetchone()[0]
        columns = ", ".join(f'"{column}"' for column in (*(order.column for order in query.order), *entity.columns))
        rows = self._sql.execute(
            f'SELECT {columns} FROM "{entity.name}" WHERE {scope} AND {query.continuation.sql}'
            f" ORDER BY {', '.join(order.sql for order in query.order)} LIMIT ?",
            (*parameters, *query.continuation.parameters, query.size + 1),
        ).fetchall()
        width = len(query.order)
        next_key = rows[query.size - 1][:width] if len(rows) > query.size else None
        return ResultPage([row[width:] for row in rows[: query.size]], next_key, total)

    def one(self, entity: EntityType, key: str, owner: Mapping[str, str]) -> Row | None:
        self._refresh(entity, owner)
        columns = ", ".join(f'"{column}"' for column in entity.columns)
        scope = " AND ".join(f'"{column}" = ?' for column in ("id", *owner))
        row: Row | None = self._sql.execute(
            f'SELECT {columns} FROM "{entity.name}" WHERE {scope}', (key, *owner.values())
        ).fetchone()
        return row

    def write_run(self, run_id: str, changes: Mapping[str, Any]) -> None:
        """Set properties of a run (JSON values), and lastUpdatedDateTime if it is not among them."""
        self._move_runs()
        self._moving.pop(run_id, None)
        self._writes[run_id] += 1
        values: dict[str, Any] = {"lastUpdatedDateTime": self._clock(), "lastUpdatedDateTimeText": None}
        for name, value in changes.items():
            if RUN.by_name[name].kind == "datetime":
                values[name] = None if value is None else parse_ticks(value)
                values[f"{name}Text"] = value
            else:
                values[name] = value
        self._update_run(run_id, values)

    def etag(self, run_id: str, row: Row) -> str:
        """The entity tag of a run, given its row; it changes with every write and with the run's progress."""
        version = hashlib.sha256(repr((self._writes[run_id], row)).encode()).hexdigest()
        return f'W/"{version[:24]}"'

    def meet_tomorrow(self) -> None:
        """Give every fourth run a status and an execution type that no client knows, and add a run full of news."""
        self._move_runs()
        plan = plan_of_tomorrow(self._workflows, self._clock())
        if not any(plan.extra == known.extra for known in self._plans.values()):
            self._plans[plan.id] = plan
            self._insert(RUN, [run_state(plan, self._clock())])
        self._sql.execute(
            "UPDATE run SET processingStatus = ?, workflowExecutionType = ? WHERE rowid % 4 = 0",
            (STATUS_OF_TOMORROW, EXECUTION_TYPE_OF_TOMORROW),
        )

    def summary(self, workflow_id: str, start: int, end: int) -> dict[str, int]:
        """The counters of a runSummary: the runs of a workflow scheduled between two moments (ticks)."""
        self._move_runs()
        row = self._sql.execute(
            "SELECT count(*) FILTER (WHERE processingStatus IN ('failed', 'completedWithErrors')), "
            "coalesce(sum(failedTasksCount), 0), count(*) FILTER (WHERE processingStatus = 'completed'), "
            "count(*), coalesce(sum(totalTasksCount), 0), coalesce(sum(totalUsersCount), 0) "
            "FROM run WHERE workflowId = ? AND scheduledDateTime BETWEEN ? AND ?",
            (workflow_id, start, end),
        ).fetchone()
        names = ("failedRuns", "failedTasks", "successfulRuns", "totalRuns", "totalTasks", "totalUsers")
        return dict(zip(names, row, strict=True))

    def _refresh(self, entity: EntityType, owner: Mapping[str, str]) -> None:
        if entity is RUN:
            self._move_runs()
        elif entity.name in _RESULTS:
            self._write_results(entity, owner["runId"])

    def _move_runs(self) -> None:
        now = self._clock()
        for run_id, plan in list(self._moving.items()):
            self._update_run(run_id, run_state(plan, now))
            if plan.rests <= now:
                del self._moving[run_id]

    def _write_results(self, entity: EntityType, run_id: str) -> None:
        """Compute the results of the requested run: they are not kept."""
        self._sql.execute(f'DELETE FROM "{entity.name}"')
        if (plan := self._plans.get(run_id)) is not None:
            self._insert(entity, _RESULTS[entity.name](plan, self.people, self._clock()))

    def _update_run(self, run_id: str, values: Mapping[str, Any]) -> None:
        settings = ", ".join(f'"{column}" = ?' for column in values)
        self._sql.execute(f"UPDATE run SET {settings} WHERE id = ?", (*values.values(), run_id))

    def _insert(self, entity: EntityType, entities: Iterable[Mapping[str, Any]]) -> None:
        places = ", ".join("?" * len(entity.columns))
        self._sql.executemany(f'INSERT INTO "{entity.name}" VALUES ({places})', map(entity.record, entities))


def _create_table(entity: EntityType) -> str:
    types = {item.name: _SQL_TYPES.get(item.kind, "TEXT") for item in entity.properties} | {"id": "TEXT PRIMARY KEY"}
    columns = ", ".join(f'"{column}" {types.get(column, "TEXT")}' for column in entity.columns)
    return f'CREATE TABLE "{entity.name}" ({columns})'
