"""One run, opened: its users as rows, and the tasks of one user as rows.

Invariant: whatever the server sends makes rows. A user without a result of its own is known by its tasks, and what is
no user is shown as what it is. No text is altered for the terminal here: cells carry foreign text as received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from runtui.domain.columns import DASH, GREATEST_FIRST, NOTHING, Column, ListCell
from runtui.domain.results import TaskResult, UserResult
from runtui.domain.rows import ABSENT, SEVERITY, STUCK_AFTER, short_id, status_look
from runtui.domain.times import TICKS_PER_SECOND, ago, duration_text, since
from runtui.domain.triage.checks import why_doubtful

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

    def said(self, now: int) -> str:
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
    called, callback = received.get("endpointConfiguration"), received.get("callbackConfiguration")
    timeout = callback.get("timeoutDuration") if isinstance(callback, Mapping) else None
    logic_app = called.get("logicAppWorkflowName") if isinstance(called, Mapping) else None
    name = received.get("displayName") or received.get("id")
    return Extension(
        name if isinstance(name, str) else "?",
        logic_app if isinstance(logic_app, str) else "",
        _duration(timeout) if isinstance(timeout, str) else None,
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
    since_when = f"since {since(task.started, now)}" if task.started is not None else ""
    if not task.extension_id:
        return ", ".join(filter(None, (since_when, task.processing_info)))
    known = extension or Extension(task.extension_id)
    which = f"{known.name} (Logic App {known.logic_app})" if known.logic_app else known.name
    due = _due_words(task.started, known.timeout, now)
    return f"waits for {which} {since_when}".rstrip() + (f", {due}" if due else "")


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
    result: UserResult | None
    """None where the server told of its tasks alone."""
    tasks: tuple[TaskResult, ...]
    """What its tasks did, in their order; those that have not begun are missing."""
    extensions: Mapping[str, Extension] = _NO_EXTENSIONS
    """What is known of custom task extensions, by id."""

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
        return next((task for task in self.tasks if task.is_waiting), None)

    @property
    def task_rows(self) -> list[TaskRow]:
        return [self._row_of(task) for task in self.tasks]

    def why(self, now: int) -> str:
        """Why it failed, or what it waits for at `now` (ticks); empty where neither is so."""
        task = self.failed or self.waiting
        return self._row_of(task).said(now) if task is not None else ""

    def _row_of(self, task: TaskResult) -> TaskRow:
        return TaskRow(task, self.extensions.get(task.extension_id))

    @property
    def _named(self) -> UserResult | TaskResult:
        """The result that says most of the subject."""
        known = (self.result, *self.tasks[:1])
        return next(result for result in known if result is not None)


def user_rows(
    users: Iterable[UserResult], tasks: Iterable[TaskResult], extensions: Mapping[str, Extension] = _NO_EXTENSIONS
) -> list[UserRow]:
    """The subjects of a run in the order in which the server names them, each with its tasks."""
    done: dict[str, list[TaskResult]] = {}
    for task in tasks:
        done.setdefault(task.subject_id, []).append(task)
    rows = [
        UserRow(user.subject_id or user.id, user, _ordered(done.pop(user.subject_id, ())), extensions) for user in users
    ]
    return rows + [UserRow(subject, None, _ordered(found), extensions) for subject, found in done.items()]


_NO_USERS: Final[Mapping[str, str]] = {
    "queued": "The run has not begun; its users appear when it does.",
    "inProgress": "The run has just begun; its users appear when the service has counted them.",
}


def why_no_users(run: Mapping[str, Any]) -> str:
    """Why a run as received has no users."""
    return _NO_USERS.get(str(run.get("processingStatus")), "The run has no users.")


def users_named(rows: Sequence[UserRow], text: str) -> list[UserRow]:
    """The users whose id, user principal name or display name is this; else those with it as a part. In any case."""
    wanted = text.casefold()
    known = [(row, [name.casefold() for name in (row.id, row.user_principal_name, row.name)]) for row in rows]
    exactly = [row for row, names in known if wanted in names]
    return exactly or [row for row, names in known if any(wanted in name for name in names)]


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
    Column("reason", "reason", 16, 3, lambda row, now: _cell(row.why(now)), flexible=True),
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
    return NOTHING if task.took is None else ListCell(duration_text(task.took), "number")


TASK_COLUMNS: Final[tuple[Column[TaskRow], ...]] = (
    Column(
        "sequence", "#", 2, 1, lambda row, _: ListCell(str(row.result.sequence or "?"), "muted"),
        value=lambda row: row.result.sequence or 0,
    ),
    Column(
        "status", "status", 13, 2, lambda row, _: _status(row.result.status), GREATEST_FIRST,
        grows_to=21, value=lambda row: _severity(row.result.status),
    ),
    Column("task", "task", 20, 3, lambda row, _: ListCell(row.result.task_name), grows_to=32),
    Column("reason", "reason", 16, 4, lambda row, now: _cell(row.said(now)), flexible=True),
    Column(
        "started", "started", 9, 5, lambda row, now: _since(row.result.started, now), GREATEST_FIRST,
        value=lambda row: row.result.started or ABSENT,
    ),
    Column("took", "took", 8, 6, lambda row, _: _took(row.result)),
)  # fmt: skip
"""What a list of the tasks of one user shows."""
