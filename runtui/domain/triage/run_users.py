"""Users as rows: the users of a run, the tasks of one user, and the tasks of a person across all workflows.

Invariant: whatever the server sends makes rows. A user without a result gets a row from its tasks. A subject that is
not a user is shown with its type. Cells carry foreign text as received: whoever shows one makes it visible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from runtui.domain.columns import DESCENDING, EMPTY_CELL, Column, ListCell, age_cell, text_cell
from runtui.domain.results import TaskResult, UserResult
from runtui.domain.rows import NO_NUMBER, STUCK_AFTER, severity, short_id, status_cell, status_look
from runtui.domain.times import TICKS_PER_SECOND, ago, distance, duration_text
from runtui.domain.triage.checks import why_doubtful
from runtui.domain.triage.received import object_in, text_in
from runtui.domain.triage.workflows import Workflow

_ISO_DURATION: Final = re.compile(
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?", re.ASCII
)


class Extension(NamedTuple):
    """The known facts about a custom task extension."""

    name: str
    """The display name, else the id, else "?"."""
    logic_app: str = ""
    """The name of the Logic App that it calls; empty if unknown."""
    timeout: int | None = None
    """The timeout of the callback, in ticks; None if unknown."""


class TaskRow(NamedTuple):
    """A task of one subject as a row."""

    result: TaskResult
    extension: Extension | None = None
    """The custom task extension that the task runs; None if it runs none, or an unknown one."""

    def summary(self, now: int) -> str:
        """Return why the task failed, what it waits for at `now` (ticks), or the service's remark; empty if nothing."""
        task = self.result
        if task.is_failed:
            return task.reason
        if task.is_waiting:
            return waiting_words(task, self.extension, now)
        return why_doubtful(task) or task.processing_info


_NO_EXTENSIONS: Final[Mapping[str, Extension]] = MappingProxyType({})


def extension_of(received: Mapping[str, Any]) -> Extension:
    """Read a received `customTaskExtension`; a property of another type counts as missing."""
    return Extension(
        text_in(received, "displayName", "id") or "?",
        text_in(object_in(received, "endpointConfiguration"), "logicAppWorkflowName"),
        _duration(text_in(object_in(received, "callbackConfiguration"), "timeoutDuration")),
    )


def _duration(text: str) -> int | None:
    """Parse an Edm.Duration without years and months, such as "PT1H30M", into ticks; None if it is not one."""
    match = _ISO_DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * TICKS_PER_SECOND


def waiting_words(task: TaskResult, extension: Extension | None, now: int) -> str:
    """Return what a task in progress waits for at `now` (ticks), for how long it has, and when that times out."""
    how_long = ""
    if task.started is not None:
        begun = distance(task.started, now, is_recorded=True)
        how_long = f"for {begun}" if begun != "now" else "begun just now"
    if not task.extension_id:
        return ": ".join(filter(None, (how_long, task.processing_info)))
    known = extension or Extension(task.extension_id)
    which = f"{known.name} (Logic App {known.logic_app})" if known.logic_app else known.name
    when = ", ".join(filter(None, (how_long, _due_words(task.started, known.timeout, now))))
    return ". ".join(filter(None, (f"waiting {when}: {which}" if when else f"waiting: {which}", task.processing_info)))


def _due_words(started: int | None, timeout: int | None, now: int) -> str:
    if started is None:
        return ""
    due = started + (STUCK_AFTER if timeout is None else timeout)
    length = duration_text(due - started)
    if due <= now:
        return f"past its timeout of {length}" if timeout is not None else f"longer than any may wait ({length})"
    return f"times out {ago(due, now)}{'' if timeout is not None else ' at the latest'}"


class UserRow(NamedTuple):
    """One subject of a run as a row: a user, or another object that the workflow processes."""

    id: str
    """The id of the subject; if unknown, of its result."""
    name: str
    """The display name, else the sign-in name or the id; for an object other than a user, its type and id."""
    user_principal_name: str
    """Empty if unknown."""
    status: str
    """The processingStatus of its result, else the worst one of its tasks."""
    ended: int | None
    """The end of processing, in ticks."""
    tasks: tuple[TaskResult, ...]
    """The known results of its tasks, in order: at least the failed and the waiting ones."""
    result: UserResult | None
    """The subject's own result; None if the server sent only results of tasks."""
    extensions: Mapping[str, Extension] = _NO_EXTENSIONS
    """The known custom task extensions, by id."""

    @property
    def subject_id(self) -> str:
        """Empty if it is unknown."""
        return (self.result or self.tasks[0]).subject_id

    @property
    def is_unnamed(self) -> bool:
        """True for a user whose name is unknown."""
        return self.name == self.id and bool(self.id) and (self.result or self.tasks[0]).is_about_user

    @property
    def blocker(self) -> TaskResult | None:
        """The first failed task, else the first one in progress; None if there is neither."""
        return next((task for task in self.tasks if task.is_failed), self.waiting)

    @property
    def waiting(self) -> TaskResult | None:
        return next((task for task in self.tasks if task.is_waiting), None)

    def row_of(self, task: TaskResult) -> TaskRow:
        return TaskRow(task, self.extensions.get(task.extension_id))

    def why(self, now: int) -> str:
        """Return why the subject failed, or what it waits for at `now` (ticks); empty if neither."""
        return self.row_of(self.blocker).summary(now) if self.blocker is not None else ""


def user_rows(
    users: Iterable[UserResult], tasks: Iterable[TaskResult], extensions: Mapping[str, Extension] = _NO_EXTENSIONS
) -> list[UserRow]:
    """Return the subjects of a run with their tasks in the server's order, users without a known name last."""
    done: dict[str, list[TaskResult]] = {}
    for task in tasks:
        done.setdefault(task.subject_id, []).append(task)
    rows = [_user_row(user, done.pop(user.subject_id, ()), extensions) for user in users]
    rows += [_user_row(None, found, extensions) for found in done.values()]
    return sorted(rows, key=lambda row: row.is_unnamed)


def _user_row(user: UserResult | None, tasks: Sequence[TaskResult], extensions: Mapping[str, Extension]) -> UserRow:
    named = user if user is not None else tasks[0]
    return UserRow(
        id=named.subject_id or named.id,
        name=named.subject_name,
        user_principal_name=named.user_principal_name,
        status=user.status if user is not None else max((task.status for task in tasks), key=severity),
        ended=named.completed if named is user else None,
        tasks=in_sequence(tasks),
        result=user,
        extensions=extensions,
    )


def in_sequence(tasks: Iterable[TaskResult]) -> tuple[TaskResult, ...]:
    """Return the tasks of one user in the order of execution."""
    return tuple(sorted(tasks, key=lambda task: (task.sequence or 0, task.started or 0)))


_NO_USERS: Final[Mapping[str, str]] = {
    "queued": "The run has not begun; its users appear when it does.",
    "inProgress": "The run has just begun; its users appear when the service has counted them.",
}

NO_TASKS: Final = "No task of this user has begun."


def why_no_users(run: Mapping[str, Any], workflow: Mapping[str, Any] | None, now: int) -> str:
    """Return why a received run has no users at `now` (ticks); `workflow` is its workflow as received, if known."""
    status = run.get("processingStatus")
    if status == "quarantined":
        return " ".join(held_words(run, workflow, now))
    return _NO_USERS.get(str(status), "The run has no users.")


def progress_words(run: Mapping[str, Any], read: int) -> str:
    """Return the progress of reading a run's results: its users first, then the tasks."""
    users = run.get("totalUsersCount")
    return f"reading {users:,}…" if isinstance(users, int) and read < users else "reading tasks…"


def held_words(run: Mapping[str, Any], workflow: Mapping[str, Any] | None, now: int) -> tuple[str, ...]:
    """Return sentences about a quarantined run: the exceeded limit, since when, and the number of users."""
    users = run.get("totalUsersCount")
    known = Workflow(workflow if workflow is not None else {})
    if known.quarantine is not None:
        return tuple(known.warnings(now, users if isinstance(users, int) else None))
    over = ("The workflow is no longer in quarantine.",) if workflow is not None else ()
    return ("Quarantined: it was about to process more users than a limit allows, and no user was processed.", *over)


def users_named(rows: Sequence[UserRow], text: str) -> list[UserRow]:
    """Return the users whose id, user principal name or display name equals `text`, else contains it; in any case."""
    wanted = text.casefold()
    known = [(row, [name.casefold() for name in (row.id, row.user_principal_name, row.name)]) for row in rows]
    exactly = [row for row, names in known if wanted in names]
    return exactly or [row for row, names in known if any(wanted in name for name in names)]


def _user(row: UserRow, _now: int) -> ListCell:
    """Return the name; an id is shortened in its middle."""
    return ListCell(short_id(row.id) if row.name == row.id else row.name)


def _tasks(row: UserRow, _now: int) -> ListCell:
    """Return the processed and all tasks, and the failed ones if there are any: "3/5 ✗1"."""
    user = row.result
    if user is None or user.total_tasks is None or user.unprocessed_tasks is None:
        return EMPTY_CELL
    failed = f" ✗{user.failed_tasks}" if user.failed_tasks else ""
    return ListCell(f"{user.total_tasks - user.unprocessed_tasks}/{user.total_tasks}{failed}", "number")


USER_COLUMNS: Final[tuple[Column[UserRow], ...]] = (
    Column(
        "status", "status", 11, 1, lambda row, _: status_cell(row.status), DESCENDING,
        grows_to=24, value=lambda row: severity(row.status),
    ),
    Column("user", "user", 14, 2, _user, grows_to=28),
    Column("reason", "reason", 24, 3, lambda row, now: text_cell(row.why(now)), flexible=True),
    Column("task", "task", 16, 5, lambda row, _: text_cell(row.blocker.task_name if row.blocker else ""), grows_to=27),
    Column("tasks", "tasks", 5, 6, _tasks, align="right", grows_to=9),
    Column(
        "ended", "ended", 5, 7, lambda row, now: age_cell(row.ended, now), DESCENDING, "right",
        value=lambda row: row.ended or NO_NUMBER,
    ),
    Column("upn", "upn", 16, 8, lambda row, _: text_cell(row.user_principal_name), grows_to=40),
)  # fmt: skip


def _took(task: TaskResult) -> ListCell:
    return EMPTY_CELL if task.took is None else ListCell(duration_text(task.took), "number")


TASK_COLUMNS: Final[tuple[Column[TaskRow], ...]] = (
    Column(
        "sequence", "#", 2, 1, lambda row, _: ListCell(str(row.result.sequence or "?"), "muted"),
        value=lambda row: row.result.sequence or 0, order_name="sequence",
    ),
    Column(
        "status", "status", 11, 2, lambda row, _: status_cell(row.result.status), DESCENDING,
        grows_to=24, value=lambda row: severity(row.result.status),
    ),
    Column("task", "task", 16, 3, lambda row, _: ListCell(row.result.task_name), grows_to=34),
    Column("reason", "reason", 18, 4, lambda row, now: text_cell(row.summary(now)), flexible=True),
    Column(
        "started", "started", 7, 5, lambda row, now: age_cell(row.result.started, now), DESCENDING, "right",
        value=lambda row: row.result.started or NO_NUMBER,
    ),
    Column("took", "took", 8, 6, lambda row, _: _took(row.result)),
)  # fmt: skip


class PersonResult(NamedTuple):
    """The result of one task of a run for a person."""

    run_id: str
    workflow_id: str
    workflow_name: str
    result: TaskResult

    @property
    def id(self) -> str:
        return f"{self.run_id} {self.result.id}"

    @property
    def moment(self) -> int:
        """The start of the task, else the creation of its result (ticks); 0 if unknown."""
        return self.result.started or self.result.created or 0

    @property
    def row(self) -> TaskRow:
        return TaskRow(self.result)


def newest_first(tasks: Iterable[PersonResult]) -> list[PersonResult]:
    return sorted(tasks, key=lambda task: (task.moment, task.result.sequence or 0), reverse=True)


def _person_status(task: PersonResult, _now: int) -> ListCell:
    if why_doubtful(task.result):
        return ListCell("? completed", "status-unknown")
    look = status_look(task.result.status)
    return ListCell(f"{look.glyph} {task.result.status or 'no status'}", look.role)


PERSON_COLUMNS: Final[tuple[Column[PersonResult], ...]] = (
    Column(
        "when", "when", 5, 3, lambda task, now: age_cell(task.moment or None, now, "muted"), DESCENDING, "right",
        value=lambda task: task.moment,
    ),
    Column("status", "status", 12, 1, _person_status),
    Column("workflow", "workflow", 13, 4, lambda task, _: ListCell(task.workflow_name), grows_to=28),
    Column("task", "task", 16, 2, lambda task, _: ListCell(task.result.task_name), grows_to=32),
    Column("reason", "reason", 18, 1, lambda task, now: ListCell(task.row.summary(now)), flexible=True),
)  # fmt: skip

PERSON_PROPERTIES: Final = (
    "run", "workflow", "workflowId", "task", "status", "reason", "doubt", "startedDateTime", "completedDateTime",
)  # fmt: skip
"""The properties of a person's task in JSON and CSV."""


def person_record(task: PersonResult) -> dict[str, Any]:
    """Return a person's task as a JSON object; `doubt` is why its success may have changed nothing."""
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
