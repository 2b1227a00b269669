"""The tenant that requests read and write, in an SQLite database in memory.

Invariant: a run in progress and the schedule are brought up to date before they are read. A run that a client wrote to
stays as written until an action changes its course. SQL is built from the columns of `entities.py`; values are always
parameters.
"""
# ruff: noqa: S608 - see the invariant

from __future__ import annotations

import hashlib
import json
import sqlite3
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from runtui.domain.times import DAY, parse_ticks
from runtui.sandbox.entities import (
    ENTITY_TYPES,
    EXTENSION,
    FUTURE_EXECUTION_TYPE,
    FUTURE_STATUS,
    RUN,
    TASK_RESULT,
    USER_RESULT,
    WORKFLOW,
    EntityType,
    Row,
)
from runtui.sandbox.query import Condition, Query, SortKey
from runtui.sandbox.tenant.activations import Choice, answered, cause_left, reprocessing, started_by_hand, task_flaws
from runtui.sandbox.tenant.people import People, Person
from runtui.sandbox.tenant.runs import RunAt, RunPlan
from runtui.sandbox.tenant.seed import future_plan
from runtui.sandbox.tenant.tasks import EXTENSIONS, extension_state, task_json
from runtui.sandbox.tenant.workflows import Workflow, next_start, quarantine_details, workflow_state

_SQL_TYPES: Final = {"count": "INTEGER", "boolean": "INTEGER", "datetime": "INTEGER"}
_KEY_TYPES: Final = {"id": "TEXT PRIMARY KEY", "place": "INTEGER"}

_RESULTS: Final = {USER_RESULT.name: RunAt.user_results, TASK_RESULT.name: RunAt.task_results}
"""The functions that compute the results of a run, by the name of the entity type."""

_REPORTED: Final = 7 * DAY
"""The age of the oldest results of a workflow, in ticks; the results of one run are always available."""


class Database:
    """The workflows, runs, results and people of one seeded tenant. If given, `names` replace the display names of its
    people.
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
        self._sql = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._sql.close)  # nothing shuts down an app within a process; any thread may forget it
        self._sql.execute("BEGIN")
        for statement in (statement for entity in ENTITY_TYPES for statement in _create_table(entity)):
            self._sql.execute(statement)
        now = self._made = clock()
        self._insert(RUN, (RunAt(plan, now).state() for plan in plans))
        self._insert(WORKFLOW, (workflow_state(item, seed, now) for item in workflows))
        self._insert(EXTENSION, (extension_state(item, now) for item in EXTENSIONS))
        self._sql.execute("COMMIT")
        self._plans = {plan.id: plan for plan in plans}
        self._moving = {plan.id: plan for plan in plans if plan.rests > now}
        self._workflows = {workflow.id: workflow for workflow in workflows}
        self._by_workflow: dict[str, list[str]] = {}
        """The ids of the runs of each workflow, oldest first."""
        for plan in plans:
            self._by_workflow.setdefault(plan.workflow.id, []).append(plan.id)
        self._kept: dict[tuple[str, str], bool] = {}
        """The entity types and runs whose results are in the tables; True if the run was at rest by then."""
        self._writes: Counter[str] = Counter()

    def close(self) -> None:
        self._sql.close()

    def page(self, entity: EntityType, owner: Mapping[str, str], query: Query) -> tuple[list[Row], SortKey | None]:
        """Return one page of the collection of an `owner` (owner columns and their values), in order; and the sort key
        after which the next page starts, None on the last one.
        """
        scope = self._scope(entity, owner, query.where)
        columns = ", ".join(f'"{column}"' for column in (*(by.name for by in entity.order), *entity.columns))
        order = ", ".join(f'"{by.name}" {"DESC" if by.is_descending else "ASC"}' for by in entity.order)
        rows = self._sql.execute(
            f'SELECT {columns} FROM "{entity.name}" WHERE {scope.sql} AND {query.continuation.sql}'
            f" ORDER BY {order} LIMIT ?",
            (*scope.parameters, *query.continuation.parameters, query.size + 1),
        ).fetchall()
        width = len(entity.order)
        next_key = rows[query.size - 1][:width] if len(rows) > query.size else None
        return [row[width:] for row in rows[: query.size]], next_key

    def one(self, entity: EntityType, key: str, owner: Mapping[str, str]) -> Row | None:
        scope = self._scope(entity, owner, Condition('"id" = ?', (key,)))
        columns = ", ".join(f'"{column}"' for column in entity.columns)
        row: Row | None = self._sql.execute(
            f'SELECT {columns} FROM "{entity.name}" WHERE {scope.sql}', scope.parameters
        ).fetchone()
        return row

    def run(self, run_id: str) -> dict[str, Any] | None:
        """Return a run as JSON, newer members of enumerations included."""
        row = self.one(RUN, run_id, {})
        return None if row is None else RUN.renderer(include_newer=True)(row)

    def write_run(self, run_id: str, changes: Mapping[str, Any]) -> None:
        """Set properties of a run (JSON values); `lastUpdatedDateTime` is set to now unless it is one of them."""
        self._move_runs()
        self._moving.pop(run_id, None)
        self._writes[run_id] += 1
        values: dict[str, Any] = {"lastUpdatedDateTime": self._clock(), **changes}
        for name, value in changes.items():
            if value is not None and RUN.by_name[name].kind == "datetime":
                values[name] = parse_ticks(value)
        self._update_run(run_id, values)

    def activate(self, workflow_id: str, people: Collection[Person]) -> str | None:
        """Start a run of a workflow on demand for some people. Return its id; None if it can process none of them."""
        now, workflow = self._clock(), self._workflows[workflow_id]
        if not people or workflow.subjects:
            return None
        earlier = self._plans_of(workflow_id)[::-1]
        subjects = {person.number: cause_left(earlier, person, now) for person in people}
        return self._add_run(started_by_hand(workflow, subjects, now, "onDemand"))

    def reprocess(self, run_id: str, choice: Choice, scope: dict[str, Any]) -> str | None:
        """Start a run that processes users of another run again. Return its id, or None if there are no such users."""
        plan = reprocessing(self._plans[run_id], choice, self.people, self._clock(), scope)
        return None if plan is None else self._add_run(plan)

    def cancel(self, run_id: str) -> None:
        """Cancel a run: its status is canceling, then canceled. What it has done stays."""
        self._change_run(self._plans[run_id]._replace(canceled=self._clock()))

    def call_back(self, run_id: str, user_result_id: str, *, has_completed: bool) -> bool:
        """Record the callback of the custom task extension that a user of a run waits for; False if none does."""
        plan = answered(self._plans[run_id], user_result_id, self.people, self._clock(), has_completed=has_completed)
        if plan is not None:
            self._change_run(plan)
        return plan is not None

    def clear_quarantine(self, workflow_id: str) -> bool:
        """Let the schedule start a workflow again; False if the workflow is not in quarantine."""
        details = json.dumps(quarantine_details(None, self._clock()))
        clear = "UPDATE workflow SET quarantineDetails = ? WHERE id = ? AND quarantineDetails <> ?"
        return self._sql.execute(clear, (details, workflow_id, details)).rowcount > 0

    def task_flaws(self, workflow_id: str) -> Iterator[dict[str, str]]:
        """Yield the tasks of a workflow that would fail for every user, each as a `previewFailedTask`."""
        workflow = self._workflows[workflow_id]
        flaws = task_flaws(self._plans_of(workflow_id)[::-1], self.people, self._clock())
        for place, flaw in flaws.items():
            task = workflow.tasks[place]
            yield {
                "definitionId": task.id,
                "failureReason": flaw,
                "name": task.display_name,
                "taskId": json.loads(task_json(workflow_id, place, task))["id"],
            }

    def etag(self, run_id: str, row: Row) -> str:
        """Return the entity tag of a run, given its row. It changes with every write and with the run's progress."""
        version = hashlib.sha256(repr((self._writes[run_id], row)).encode()).hexdigest()
        return f'W/"{version[:24]}"'

    def add_future_values(self) -> None:
        """Give every fourth run a status and an execution type that no client knows; add `future_plan` once."""
        self._move_runs()
        plan = future_plan(self._workflows.values(), self._clock())
        if not any(plan.extra == known.extra for known in self._plans.values()):
            self._add_run(plan)
        self._sql.execute(
            "UPDATE run SET processingStatus = ?, workflowExecutionType = ?, lastUpdatedDateTime = ?"
            " WHERE rowid % 4 = 0",
            (FUTURE_STATUS, FUTURE_EXECUTION_TYPE, self._clock()),
        )

    def _scope(self, entity: EntityType, owner: Mapping[str, str], where: Condition) -> Condition:
        """Bring the entities of a collection up to date; return the condition that selects its rows."""
        conditions = [where, *(Condition(f'"{column}" = ?', (value,)) for column, value in owner.items())]
        if entity is RUN:
            self._move_runs()
        elif entity is WORKFLOW:
            self._move_schedules()
        elif entity.name in _RESULTS and "runId" in owner:
            self._keep_results(entity, [self._plans[owner["runId"]]])
        elif entity.name in _RESULTS:
            since = self._clock() - _REPORTED
            conditions.append(Condition('"scheduledDateTime" >= ?', (since,)))
            plans = self._plans_of(owner["workflowId"])
            self._keep_results(entity, [plan for plan in plans if plan.scheduled >= since])
        return Condition.joined("AND", conditions)

    def _plans_of(self, workflow_id: str) -> list[RunPlan]:
        return [self._plans[run_id] for run_id in self._by_workflow.get(workflow_id, ())]

    def _add_run(self, plan: RunPlan) -> str:
        """Add a run and return its id. The id contains the scheduled tick, which is moved until the id is unique."""
        while plan.id in self._plans:
            plan = plan._replace(scheduled=plan.scheduled + 1)
        now = self._clock()
        self._plans[plan.id] = plan
        if plan.rests > now:
            self._moving[plan.id] = plan
        self._by_workflow.setdefault(plan.workflow.id, []).append(plan.id)
        self._insert(RUN, [RunAt(plan, now).state()])
        return plan.id

    def _change_run(self, plan: RunPlan) -> None:
        """Give a run another plan from now on."""
        self._plans[plan.id] = self._moving[plan.id] = plan
        self._writes[plan.id] += 1
        for name in _RESULTS:
            if (name, plan.id) in self._kept:
                self._kept[name, plan.id] = False
        self._move_runs()

    def _move_runs(self) -> None:
        now = self._clock()
        for run_id, plan in list(self._moving.items()):
            self._update_run(run_id, RunAt(plan, now).state())
            if plan.rests <= now:
                del self._moving[run_id]

    def _move_schedules(self) -> None:
        """Set the next start of the workflows that the schedule has started since the tenant was made."""
        now, column = self._clock(), "nextScheduleRunDateTime"
        move = f'UPDATE workflow SET "{column}" = ? WHERE "{column}" > ? AND "{column}" <= ?'
        self._sql.execute(move, (next_start(now), self._made, now))

    def _keep_results(self, entity: EntityType, plans: Iterable[RunPlan]) -> None:
        """Put the results of runs into the tables. Those of a run at rest are computed once, others at each read."""
        now = self._clock()
        for plan in plans:
            key = (entity.name, plan.id)
            is_at_rest = self._kept.get(key)
            if is_at_rest:
                continue
            if is_at_rest is not None:
                self._sql.execute(f'DELETE FROM "{entity.name}" WHERE "runId" = ?', (plan.id,))
            self._kept[key] = plan.rests <= now
            self._insert(entity, _RESULTS[entity.name](RunAt(plan, now), self.people))

    def _update_run(self, run_id: str, values: Mapping[str, Any]) -> None:
        settings = ", ".join(f'"{column}" = ?' for column in values)
        self._sql.execute(f"UPDATE run SET {settings} WHERE id = ?", (*values.values(), run_id))

    def _insert(self, entity: EntityType, entities: Iterable[Mapping[str, Any]]) -> None:
        places = ", ".join("?" * len(entity.columns))
        insert = f'INSERT INTO "{entity.name}" VALUES ({places})'
        self._sql.executemany(insert, map(entity.record, entities))


def _create_table(entity: EntityType) -> Iterator[str]:
    """Yield the statements that create the table of an entity type and an index for each owner column."""
    types = {item.name: _SQL_TYPES.get(item.kind, "TEXT") for item in entity.properties} | _KEY_TYPES
    columns = ", ".join(f'"{column}" {types.get(column, "TEXT")}' for column in entity.columns)
    yield f'CREATE TABLE "{entity.name}" ({columns})'
    place = ', "place"' if "place" in entity.columns else ""
    for owner in {"workflowId", "runId"}.intersection(entity.columns):
        yield f'CREATE INDEX "{entity.name} of {owner}" ON "{entity.name}" ("{owner}"{place})'
