"""A run as one row: what is indexed of it, which columns there are, and what stands in a cell.

Invariant: any JSON object with an id makes a row. A value that is missing, null or of another type than Graph's schema
says is absent in the row and stays untouched in the stored run. No text is altered for the terminal here: cells carry
foreign text as received.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from runtui.domain.columns import DASH, NOTHING, Cell, Column, Role
from runtui.domain.times import TICKS_PER_SECOND, ago, parse_ticks, since
from runtui.errors import RuntuiError

ABSENT: Final = -(2**62)
"""What an indexed number holds when the run has no such value: below every tick and every Int32, so it sorts first."""

STUCK_AFTER: Final = 3 * 3600 * TICKS_PER_SECOND
"""A run at work that nothing has touched for longer is called stuck: the longest a custom task extension may wait for
its callback is 3 hours (Microsoft Entra, "Understanding lifecycle workflows")."""


class StatusLook(NamedTuple):
    """How one processingStatus is shown and triaged."""

    name: str
    glyph: str
    role: Role
    is_problem: bool = False
    """Whether a person should look at the run (facts: `failed` alone misses the run with one bad user)."""
    is_active: bool = False
    """Whether the service is still at work on it, so that it can get stuck."""


_MOST_URGENT_FIRST: Final = (
    StatusLook("failed", "✗", "status-failed", is_problem=True),
    StatusLook("quarantined", "■", "status-problem", is_problem=True),
    StatusLook("completedWithErrors", "!", "status-problem", is_problem=True),
    StatusLook("canceled", "⊘", "status-problem", is_problem=True),
    StatusLook("", "?", "status-unknown"),
    StatusLook("canceling", "⊖", "status-active", is_active=True),
    StatusLook("inProgress", "●", "status-active", is_active=True),
    StatusLook("queued", "◌", "status-waiting"),
    StatusLook("completed", "✓", "status-done"),
)
"""Every status with a look of its own; the one without a name stands for all that are unknown or missing."""

STATUS_LOOKS: Final[Mapping[str, StatusLook]] = {look.name: look for look in _MOST_URGENT_FIRST}
SEVERITY: Final[Mapping[str, int]] = {look.name: rank for rank, look in enumerate(reversed(_MOST_URGENT_FIRST))}
"""The sort key of a status: the greater, the more urgent. Statuses not named here share the one of ""."""

PROBLEM_SEVERITIES: Final = tuple(SEVERITY[look.name] for look in _MOST_URGENT_FIRST if look.is_problem)
ACTIVE_SEVERITIES: Final = tuple(SEVERITY[look.name] for look in _MOST_URGENT_FIRST if look.is_active)


def status_look(status: str) -> StatusLook:
    """How a status is shown; an unknown one as "?"."""
    return STATUS_LOOKS.get(status) or STATUS_LOOKS[""]


class RunRecord(NamedTuple):
    """What the store indexes of one run. The field names are the store's column names.

    `*_key` is casefolded text, made for matching; times are ticks; ABSENT stands for a number that is not there.
    """

    id: str
    id_key: str
    workflow_id: str
    status: str
    status_key: str
    severity: int
    execution_type: str
    type_key: str
    scheduled: int
    started: int
    completed: int
    last_updated: int
    failed_tasks: int
    failed_users: int
    successful_users: int
    total_users: int
    total_tasks: int
    unprocessed_tasks: int
    recency: int
    """When the run began, or was to begin: what "newest first" means."""
    touched: int
    """The latest moment known of the run: what "stuck" is measured from."""


def run_key(raw: Mapping[str, Any], workflow_id: str) -> str:
    """The id by which a run is stored and asked for.

    Raises:
        RuntuiError: when the object has none, so that nothing could ever refer to it.
    """
    run_id = raw.get("id")
    if not isinstance(run_id, str) or not run_id:
        raise RuntuiError("A run without an id", f"The server sent a run of workflow {workflow_id} that has no id.")
    return storable(run_id)


def record(raw: Mapping[str, Any], workflow_id: str) -> RunRecord:
    """Index one run as received.

    Raises:
        RuntuiError: when it has no id.
    """
    run_id = run_key(raw, workflow_id)
    status, execution_type = _text(raw, "processingStatus"), _text(raw, "workflowExecutionType")
    scheduled, started = _moment(raw, "scheduledDateTime"), _moment(raw, "startedDateTime")
    completed, last_updated = _moment(raw, "completedDateTime"), _moment(raw, "lastUpdatedDateTime")
    moments = (started, scheduled, last_updated, completed)
    recency = next((moment for moment in moments if moment != ABSENT), ABSENT)
    return RunRecord(
        id=run_id,
        id_key=run_id.casefold(),
        workflow_id=storable(workflow_id),
        status=status,
        status_key=status.casefold(),
        severity=SEVERITY.get(status, SEVERITY[""]),
        execution_type=execution_type,
        type_key=execution_type.casefold(),
        scheduled=scheduled,
        started=started,
        completed=completed,
        last_updated=last_updated,
        failed_tasks=_count(raw, "failedTasksCount"),
        failed_users=_count(raw, "failedUsersCount"),
        successful_users=_count(raw, "successfulUsersCount"),
        total_users=_count(raw, "totalUsersCount"),
        total_tasks=_count(raw, "totalTasksCount"),
        unprocessed_tasks=_count(raw, "totalUnprocessedTasksCount"),
        recency=recency,
        touched=max(moments),
    )


def storable(text: str) -> str:
    """Text that UTF-8 can hold: JSON may carry lone surrogates, which become "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return storable(value) if isinstance(value, str) else ""


def _moment(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name)
    if not isinstance(value, str):
        return ABSENT
    try:
        return parse_ticks(value)
    except ValueError:
        return ABSENT


def _count(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name)
    return value if type(value) is int and -(2**31) <= value < 2**31 else ABSENT


class RunRow(NamedTuple):
    """One row of the list. Times are ticks; None is a value that the run does not have."""

    rowid: int
    id: str
    workflow_id: str
    workflow_name: str
    status: str
    execution_type: str
    scheduled: int | None
    started: int | None
    completed: int | None
    last_updated: int | None
    failed_tasks: int | None
    failed_users: int | None
    successful_users: int | None
    total_users: int | None
    total_tasks: int | None
    unprocessed_tasks: int | None


def is_stuck(row: RunRow, now: int) -> bool:
    """Whether the run is at work and has not been touched for longer than STUCK_AFTER."""
    moments = (row.scheduled, row.started, row.completed, row.last_updated)
    touched = max((moment for moment in moments if moment is not None), default=ABSENT)
    return status_look(row.status).is_active and touched < now - STUCK_AFTER


def short_id(run_id: str) -> str:
    """An id in at most 21 characters. Ids of one workflow share their head, so each part keeps more of its tail."""
    if len(run_id) <= _ID_WIDTH:
        return run_id
    head, _, tail = run_id.partition("_")
    if len(head) > 11 and len(tail) > 9 and "_" not in tail:
        return f"{head[:4]}…{head[-6:]}_{tail[:4]}…{tail[-4:]}"
    return f"{run_id[:8]}…{run_id[-12:]}"


def _status(row: RunRow, now: int) -> Cell:
    shown = status_look(row.status)
    if is_stuck(row, now):
        return Cell(f"{shown.glyph} {row.status} · stuck", "status-stuck")
    return Cell(f"{shown.glyph} {row.status or 'no status'}", shown.role)


def _users(row: RunRow, _now: int) -> Cell:
    if row.total_users is None and row.successful_users is None:
        return NOTHING
    return Cell(f"{_short(row.successful_users)}/{_short(row.total_users)}", "number")


def _failed_users(row: RunRow, _now: int) -> Cell:
    return _failures(row.failed_users)


def _failed_tasks(row: RunRow, _now: int) -> Cell:
    return _failures(row.failed_tasks)


def _failures(count: int | None) -> Cell:
    if count is None:
        return NOTHING
    return Cell(_short(count), "alert" if count else "muted")


def _workflow(row: RunRow, _now: int) -> Cell:
    return Cell(row.workflow_name)


def _type(row: RunRow, _now: int) -> Cell:
    return Cell(row.execution_type) if row.execution_type else NOTHING


def _planned(moment: int | None, now: int) -> Cell:
    return NOTHING if moment is None else Cell(ago(moment, now))


def _past(moment: int | None, now: int) -> Cell:
    return NOTHING if moment is None else Cell(since(moment, now))


def _short(count: int | None) -> str:
    """A count in at most four digits and letters, so that a crop never turns it into another number."""
    if count is None:
        return DASH
    if abs(count) < 10_000:
        return str(count)
    size, unit = next((size, unit) for size, unit in _UNITS if abs(count) >= size)
    return f"{int(count / size)}{unit}"


_ID_WIDTH: Final = 21
_UNITS: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))

RUN_COLUMNS: Final[tuple[Column[RunRow], ...]] = (
    Column("status", "status", 21, 1, _status, ("-severity", "-recency")),
    Column("workflow", "workflow", 16, 1, _workflow, ("workflow_key", "-recency"), flexible=True),
    Column("started", "started", 8, 2, lambda row, now: _past(row.started, now), ("-recency",)),
    Column("users", "users", 9, 3, _users, ("-total_users", "-recency"), "right"),
    Column("failedUsers", "✗ users", 7, 4, _failed_users, ("-failed_users", "-recency"), "right"),
    Column("failedTasks", "✗ tasks", 7, 5, _failed_tasks, ("-failed_tasks", "-recency"), "right"),
    Column("type", "type", 18, 6, _type, ("type_key", "-recency")),
    Column("scheduled", "scheduled", 9, 9, lambda row, now: _planned(row.scheduled, now), ("-scheduled", "-recency")),
    Column("completed", "completed", 9, 8, lambda row, now: _past(row.completed, now), ("-completed", "-recency")),
    Column("updated", "updated", 8, 7, lambda row, now: _past(row.last_updated, now), ("-last_updated", "-recency")),
    Column("id", "id", _ID_WIDTH, 10, lambda row, _now: Cell(short_id(row.id), "muted"), ("id",)),
)
"""All columns, in the order in which they stand."""

RUN_COLUMN_BY_KEY: Final[Mapping[str, Column[RunRow]]] = {column.key: column for column in RUN_COLUMNS}
