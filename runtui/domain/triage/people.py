"""One person across all workflows: what each task of each run did for them, as rows.

Invariant: no text is altered for the terminal here; names and reasons are as received.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from runtui.domain.columns import GREATEST_FIRST, NOTHING, Column, ListCell
from runtui.domain.results import TaskResult
from runtui.domain.rows import status_look
from runtui.domain.times import distance
from runtui.domain.triage.checks import why_doubtful
from runtui.domain.triage.run_users import TaskRow


class PersonResult(NamedTuple):
    """What one task of a run did for a person."""

    run_id: str
    workflow_id: str
    workflow_name: str
    result: TaskResult

    @property
    def id(self) -> str:
        return f"{self.run_id} {self.result.id}"

    @property
    def moment(self) -> int:
        """When it began, or was to begin (ticks); 0 where nobody says."""
        return self.result.started or self.result.created or 0

    @property
    def row(self) -> TaskRow:
        """The same as a task of one user."""
        return TaskRow(self.result)


def newest_first(tasks: Iterable[PersonResult]) -> list[PersonResult]:
    """The latest task of the latest run first."""
    return sorted(tasks, key=lambda task: (task.moment, task.result.sequence or 0), reverse=True)


def _when(task: PersonResult, now: int) -> ListCell:
    return ListCell(distance(task.moment, now, is_recorded=True), "muted") if task.moment else NOTHING


def _status(task: PersonResult, _now: int) -> ListCell:
    if why_doubtful(task.result):
        return ListCell("? completed", "status-unknown")
    look = status_look(task.result.status)
    return ListCell(f"{look.glyph} {task.result.status or 'no status'}", look.role)


PERSON_COLUMNS: Final[tuple[Column[PersonResult], ...]] = (
    Column("when", "when", 5, 3, _when, GREATEST_FIRST, "right", value=lambda task: task.moment),
    Column("status", "status", 12, 1, _status),
    Column("workflow", "workflow", 13, 4, lambda task, _: ListCell(task.workflow_name), grows_to=28),
    Column("task", "task", 16, 2, lambda task, _: ListCell(task.result.task_name), grows_to=32),
    Column("reason", "reason", 18, 1, lambda task, now: ListCell(task.row.said(now)), flexible=True),
)
"""All columns, in the order in which they stand."""

PERSON_PROPERTIES: Final = (
    "run", "workflow", "workflowId", "task", "status", "reason", "doubt", "startedDateTime", "completedDateTime",
)  # fmt: skip
"""What a task of a person has for a program."""


def person_record(task: PersonResult) -> dict[str, Any]:
    """A task of a person for a program; `doubt` is why its success may have changed nothing."""
    result = task.result
    return {
        "run": task.run_id,
        "workflow": task.workflow_name,
        "workflowId": task.workflow_id,
        "task": result.task_name,
        "status": result.status,
        "reason": result.reason if result.is_failed else result.processing_info or None,
        "doubt": why_doubtful(result) or None,
        "startedDateTime": result.received.get("startedDateTime"),
        "completedDateTime": result.received.get("completedDateTime"),
    }
