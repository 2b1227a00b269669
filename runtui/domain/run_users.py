"""One run, opened: its users as rows, and the tasks of one user as rows.

Invariant: whatever the server sends makes rows. A user without a result of its own is known by its tasks, and what is
no user is shown as what it is. No text is altered for the terminal here: cells carry foreign text as received.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from runtui.domain.columns import DASH, GREATEST_FIRST, NOTHING, Column, ListCell
from runtui.domain.results import TaskResult, UserResult
from runtui.domain.rows import ABSENT, SEVERITY, short_id, status_look
from runtui.domain.times import duration_text, since


class UserRow(NamedTuple):
    """One subject of a run; a user, but for runs of workflows on something else."""

    id: str
    """The id of the subject."""
    result: UserResult | None
    """None where the server told of its tasks alone."""
    tasks: tuple[TaskResult, ...]
    """What its tasks did, in their order; those that have not begun are missing."""

    @property
    def status(self) -> str:
        """The processingStatus: its own, else the worst of its tasks."""
        if self.result is not None:
            return self.result.status
        return max((task.status for task in self.tasks), key=_severity, default="")

    @property
    def name(self) -> str:
        """The display name where it is known, else the id, or what it is instead of a user."""
        return self._named.subject_name

    @property
    def shown_name(self) -> str:
        """The name as a list shows it: an id is cut in its middle."""
        return short_id(self.id) if self.name == self.id else self.name

    @property
    def user_principal_name(self) -> str:
        return self._named.user_principal_name

    @property
    def failed(self) -> TaskResult | None:
        """The first task that failed."""
        return next((task for task in self.tasks if task.is_failed), None)

    @property
    def waiting(self) -> TaskResult | None:
        """The task that has begun and not ended."""
        return next((task for task in self.tasks if task.status == "inProgress"), None)

    @property
    def _named(self) -> UserResult | TaskResult:
        """The result that says most of the subject."""
        known = (self.result, *self.tasks[:1])
        return next(result for result in known if result is not None)


def user_rows(users: Iterable[UserResult], tasks: Iterable[TaskResult]) -> list[UserRow]:
    """The subjects of a run in the order in which the server names them, each with its tasks."""
    done: dict[str, list[TaskResult]] = {}
    for task in tasks:
        done.setdefault(task.subject_id, []).append(task)
    rows = [UserRow(user.subject_id or user.id, user, _ordered(done.pop(user.subject_id, ()))) for user in users]
    return rows + [UserRow(subject, None, _ordered(found)) for subject, found in done.items()]


def _ordered(tasks: Iterable[TaskResult]) -> tuple[TaskResult, ...]:
    return tuple(sorted(tasks, key=lambda task: (task.sequence or 0, task.started or 0)))


def _severity(status: str) -> int:
    return SEVERITY.get(status, SEVERITY[""])


def _status(status: str) -> ListCell:
    look = status_look(status)
    return ListCell(f"{look.glyph} {status or 'no status'}", look.role)


def _task(row: UserRow) -> str:
    task = row.failed or row.waiting
    return task.task_name if task is not None else ""


def _why(row: UserRow) -> str:
    if row.failed is not None:
        return row.failed.reason
    return row.waiting.processing_info if row.waiting is not None else ""


def _cell(text: str) -> ListCell:
    return ListCell(text) if text else NOTHING


def _ended(row: UserRow) -> int | None:
    return row.result.completed if row.result is not None else None


USER_COLUMNS: Final[tuple[Column[UserRow], ...]] = (
    Column(
        "status", "status", 13, 1, lambda row, _: _status(row.status), GREATEST_FIRST,
        grows_to=21, value=lambda row: _severity(row.status),
    ),
    Column("user", "user", 21, 2, lambda row, _: ListCell(row.shown_name), grows_to=28),
    Column("task", "task", 16, 4, lambda row, _: _cell(_task(row)), grows_to=32),
    Column("reason", "reason", 16, 3, lambda row, _: _cell(_why(row)), flexible=True),
    Column("tasks", "tasks", 5, 6, lambda row, _: _tasks(row), value=lambda row: len(row.tasks), align="right"),
    Column("upn", "upn", 28, 8, lambda row, _: _cell(row.user_principal_name), grows_to=40),
    Column(
        "ended", "ended", 9, 7, lambda row, now: _since(_ended(row), now), GREATEST_FIRST,
        value=lambda row: _ended(row) or ABSENT,
    ),
)  # fmt: skip
"""What a list of users shows, the most important first."""


def _tasks(row: UserRow) -> ListCell:
    """How many have ended, of how many."""
    ended = sum(task.completed is not None for task in row.tasks)
    total = row.result.total_tasks if row.result is not None else None
    return ListCell(f"{ended}/{DASH if total is None else total}", "number")


def _since(ticks: int | None, now: int) -> ListCell:
    return NOTHING if ticks is None else ListCell(since(ticks, now))


def _took(task: TaskResult) -> ListCell:
    if task.started is None or task.completed is None:
        return NOTHING
    return ListCell(duration_text(task.completed - task.started), "number")


def _said(task: TaskResult) -> str:
    """Why it failed, or what it has to say."""
    return task.reason if task.is_failed else task.processing_info


TASK_COLUMNS: Final[tuple[Column[TaskResult], ...]] = (
    Column(
        "sequence", "#", 2, 1, lambda task, _: ListCell(str(task.sequence or "?"), "muted"),
        value=lambda task: task.sequence or 0,
    ),
    Column(
        "status", "status", 13, 2, lambda task, _: _status(task.status), GREATEST_FIRST,
        grows_to=21, value=lambda task: _severity(task.status),
    ),
    Column("task", "task", 20, 3, lambda task, _: ListCell(task.task_name), grows_to=32),
    Column("said", "reason", 16, 4, lambda task, _: _cell(_said(task)), flexible=True),
    Column(
        "started", "started", 9, 5, lambda task, now: _since(task.started, now), GREATEST_FIRST,
        value=lambda task: task.started or ABSENT,
    ),
    Column("took", "took", 8, 6, lambda task, _: _took(task)),
)  # fmt: skip
"""What a list of the tasks of one user shows."""
