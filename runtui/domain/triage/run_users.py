"""Users as rows: those of one run, the tasks of one of them, and the tasks of one person across all workflows.

Invariant: whatever the server sends makes rows. A user without a result of its own is known by its tasks, and what is
no user is shown as what it is. No text is altered for the terminal here: cells carry foreign text as received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from runtui.domain.columns import GREATEST_FIRST, NOTHING, Column, ListCell, age_cell, text_cell
from runtui.domain.results import TaskResult, UserResult
from runtui.domain.rows import ABSENT, STUCK_AFTER, severity, short_id, status_look, status_word
from runtui.domain.times import TICKS_PER_SECOND, ago, distance, duration_text
from runtui.domain.triage.checks import why_doubtful
from runtui.domain.triage.received import object_in, text_in
from runtui.domain.triage.workflows import Workflow

_ISO_DURATION: Final = re.compile(
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?", re.ASCII
)


class Extension(NamedTuple):
    """What is known of a custom task extension."""

    name: str
    """Its display name, or its id."""
    logic_app: str = ""
    """The name of the Logic App that it calls."""
    timeout: int | None = None
    """How long it waits for the callback, in ticks."""


class TaskRow(NamedTuple):
    """A task of one subject."""

    result: TaskResult
    extension: Extension | None = None
    """The custom task extension that it runs, where that is known."""

    def summary(self, now: int) -> str:
        """Why it failed, what it waits for at `now` (ticks), or what else it has to say; empty for nothing."""
        task = self.result
        if task.is_failed:
            return task.reason
        if task.is_waiting:
            return waiting_words(task, self.extension, now)
        return why_doubtful(task) or task.processing_info


_NO_EXTENSIONS: Final[Mapping[str, Extension]] = MappingProxyType({})


def extension_of(received: Mapping[str, Any]) -> Extension:
    """A `customTaskExtension` as received, as far as it is one."""
    return Extension(
        text_in(received, "displayName", "id") or "?",
        text_in(object_in(received, "endpointConfiguration"), "logicAppWorkflowName"),
        _duration(text_in(object_in(received, "callbackConfiguration"), "timeoutDuration")),
    )


def _duration(text: str) -> int | None:
    """An Edm.Duration of days and less, such as "PT1H30M", in ticks; None when it is none."""
    match = _ISO_DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * TICKS_PER_SECOND


def waiting_words(task: TaskResult, extension: Extension | None, now: int) -> str:
    """What a task that has begun and not ended waits for at `now` (ticks), since when, and when that times out."""
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
        return f"past its timeout of {length}" if timeout is not None else f"longer than the {length} that any may wait"
    return f"times out {ago(due, now)}{'' if timeout is not None else ' at the latest'}"


class UserRow(NamedTuple):
    """One subject of a run; a user, but for runs of workflows on something else."""

    id: str
    """The id of the subject."""
    name: str
    """The display name where it is known, else the id, or what it is instead of a user."""
    user_principal_name: str
    """Empty where it is not known."""
    status: str
    """The processingStatus: its own, else the worst of its tasks."""
    ended: int | None
    """When it was done, in ticks."""
    tasks: tuple[TaskResult, ...]
    """What its tasks did, in their order, as far as that is known here: those that failed or wait at least."""
    result: UserResult | None
    """Its own result; None where the server told of its tasks alone."""
    extensions: Mapping[str, Extension] = _NO_EXTENSIONS
    """What is known of custom task extensions, by id."""

    @property
    def is_unnamed(self) -> bool:
        """Whether it is a user of whom the id alone is known."""
        return self.name == self.id and bool(self.id) and (self.result or self.tasks[0]).is_about_user

    @property
    def trouble(self) -> TaskResult | None:
        """The first task that failed, else the one that has begun and not ended."""
        return next((task for task in self.tasks if task.is_failed), self.waiting)

    @property
    def waiting(self) -> TaskResult | None:
        return next((task for task in self.tasks if task.is_waiting), None)

    def row_of(self, task: TaskResult) -> TaskRow:
        return TaskRow(task, self.extensions.get(task.extension_id))

    def why(self, now: int) -> str:
        """Why it failed, or what it waits for at `now` (ticks); empty where neither is so."""
        return self.row_of(self.trouble).summary(now) if self.trouble is not None else ""


def user_rows(
    users: Iterable[UserResult], tasks: Iterable[TaskResult], extensions: Mapping[str, Extension] = _NO_EXTENSIONS
) -> list[UserRow]:
    """The subjects of a run in the order in which the server names them, those that are known by their ids alone last;
    each with those of the tasks that are its."""
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
    """The tasks of one user, in the order in which they are carried out."""
    return tuple(sorted(tasks, key=lambda task: (task.sequence or 0, task.started or 0)))


_NO_USERS: Final[Mapping[str, str]] = {
    "queued": "The run has not begun; its users appear when it does.",
    "inProgress": "The run has just begun; its users appear when the service has counted them.",
}

NO_TASKS: Final = "No task of this user has begun."


def why_no_users(run: Mapping[str, Any], workflow: Mapping[str, Any] | None, now: int) -> str:
    """Why a run as received has no users at `now` (ticks); `workflow` is its workflow as received."""
    status = run.get("processingStatus")
    if status == "quarantined":
        return " ".join(held_words(run, workflow, now))
    return _NO_USERS.get(str(status), "The run has no users.")


def progress_words(run: Mapping[str, Any], read: int) -> str:
    """How far the users of a run as received were read, while not all that they did is there."""
    users = run.get("totalUsersCount")
    return f"reading {users:,}…" if isinstance(users, int) and read < users else "reading tasks…"


def held_words(run: Mapping[str, Any], workflow: Mapping[str, Any] | None, now: int) -> tuple[str, ...]:
    """Which limit holds back a quarantined run, since when and for how many users, in sentences."""
    users = run.get("totalUsersCount")
    known = Workflow(workflow if workflow is not None else {})
    if known.quarantine is not None:
        return tuple(known.warnings(now, users if isinstance(users, int) else None))
    over = ("The workflow is in quarantine no longer.",) if workflow is not None else ()
    return ("Quarantined: it was about to process more users than a limit allows, and no user was processed.", *over)


def users_named(rows: Sequence[UserRow], text: str) -> list[UserRow]:
    """The users whose id, user principal name or display name is this; else those with it as a part. In any case."""
    wanted = text.casefold()
    known = [(row, [name.casefold() for name in (row.id, row.user_principal_name, row.name)]) for row in rows]
    exactly = [row for row, names in known if wanted in names]
    return exactly or [row for row, names in known if any(wanted in name for name in names)]


def _status(status: str) -> ListCell:
    look = status_look(status)
    return ListCell(f"{look.glyph} {status_word(status)}", look.role)


def _user(row: UserRow, _now: int) -> ListCell:
    """The name; an id is cut in its middle."""
    return ListCell(short_id(row.id) if row.name == row.id else row.name)


def _tasks(row: UserRow, _now: int) -> ListCell:
    """How many of its tasks were processed, of how many, and how many of them failed."""
    user = row.result
    if user is None or user.total_tasks is None or user.unprocessed_tasks is None:
        return NOTHING
    failed = f" ✗{user.failed_tasks}" if user.failed_tasks else ""
    return ListCell(f"{user.total_tasks - user.unprocessed_tasks}/{user.total_tasks}{failed}", "number")


USER_COLUMNS: Final[tuple[Column[UserRow], ...]] = (
    Column(
        "status", "status", 11, 1, lambda row, _: _status(row.status), GREATEST_FIRST,
        grows_to=24, value=lambda row: severity(row.status),
    ),
    Column("user", "user", 14, 2, _user, grows_to=28),
    Column("reason", "reason", 24, 3, lambda row, now: text_cell(row.why(now)), flexible=True),
    Column("task", "task", 16, 5, lambda row, _: text_cell(row.trouble.task_name if row.trouble else ""), grows_to=27),
    Column("tasks", "tasks", 5, 6, _tasks, align="right", grows_to=9),
    Column(
        "ended", "ended", 5, 7, lambda row, now: age_cell(row.ended, now), GREATEST_FIRST, "right",
        value=lambda row: row.ended or ABSENT,
    ),
    Column("upn", "upn", 16, 8, lambda row, _: text_cell(row.user_principal_name), grows_to=40),
)  # fmt: skip
"""What a list of users shows, the most important first."""


def _took(task: TaskResult) -> ListCell:
    return NOTHING if task.took is None else ListCell(duration_text(task.took), "number")


TASK_COLUMNS: Final[tuple[Column[TaskRow], ...]] = (
    Column(
        "sequence", "#", 2, 1, lambda row, _: ListCell(str(row.result.sequence or "?"), "muted"),
        value=lambda row: row.result.sequence or 0, order_name="sequence",
    ),
    Column(
        "status", "status", 11, 2, lambda row, _: _status(row.result.status), GREATEST_FIRST,
        grows_to=24, value=lambda row: severity(row.result.status),
    ),
    Column("task", "task", 16, 3, lambda row, _: ListCell(row.result.task_name), grows_to=34),
    Column("reason", "reason", 18, 4, lambda row, now: text_cell(row.summary(now)), flexible=True),
    Column(
        "started", "started", 7, 5, lambda row, now: age_cell(row.result.started, now), GREATEST_FIRST, "right",
        value=lambda row: row.result.started or ABSENT,
    ),
    Column("took", "took", 8, 6, lambda row, _: _took(row.result)),
)  # fmt: skip
"""What a list of the tasks of one user shows."""


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
    return sorted(tasks, key=lambda task: (task.moment, task.result.sequence or 0), reverse=True)


def _person_status(task: PersonResult, _now: int) -> ListCell:
    if why_doubtful(task.result):
        return ListCell("? completed", "status-unknown")
    look = status_look(task.result.status)
    return ListCell(f"{look.glyph} {task.result.status or 'no status'}", look.role)


PERSON_COLUMNS: Final[tuple[Column[PersonResult], ...]] = (
    Column(
        "when", "when", 5, 3, lambda task, now: age_cell(task.moment or None, now, "muted"), GREATEST_FIRST, "right",
        value=lambda task: task.moment,
    ),
    Column("status", "status", 12, 1, _person_status),
    Column("workflow", "workflow", 13, 4, lambda task, _: ListCell(task.workflow_name), grows_to=28),
    Column("task", "task", 16, 2, lambda task, _: ListCell(task.result.task_name), grows_to=32),
    Column("reason", "reason", 18, 1, lambda task, now: ListCell(task.row.summary(now)), flexible=True),
)  # fmt: skip
"""What a list of the tasks of one person shows."""

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
