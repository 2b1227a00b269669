"""`runtui show RUN --user USER`: what a run did for one user, task by task.

Invariant: nothing is printed unless exactly one user of the run is meant. JSON carries each result as received, in
ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from runtui.command_line import SessionSpec
from runtui.domain.results import TaskResult, UserResult
from runtui.domain.rows import status_look
from runtui.domain.text import visible
from runtui.domain.times import duration_text, local_text, now_ticks, since
from runtui.domain.triage.run_users import (
    Extension,
    TaskRow,
    UserRow,
    extension_of,
    user_rows,
    users_named,
    why_no_users,
)
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.headless.output import aligned
from runtui.headless.session import connected, find_run, pace, read_run
from runtui.services.store import workflow_of
from runtui.services.workspace import Workspace

_NAMED: Final = 10
"""Users that are named where a name fits several."""


async def show_user(session: SessionSpec, run_id: str, workflow_id: str | None, user: str, as_json: bool) -> int:
    """Print what a run did for a user; the exit code.

    Raises:
        RuntuiError: the run or its results cannot be read, or not exactly one user has that name.
    """
    async with connected(session) as workspace:
        workflow_id, run_id = await find_run(workspace, run_id, workflow_id)
        rows = await _users(workspace, workflow_id, run_id)
        if not rows:
            run = await read_run(workspace, workflow_id, run_id)
            held_by = workflow_of(workspace.store, workflow_id)
            raise RuntuiError("No users", why_no_users(run, held_by, now_ticks()))
        row = _the_one(rows, user)
        extensions = await _extensions(workspace, row.tasks)
        stored = workspace.store.get(run_id)
    row = row._replace(extensions=extensions)
    workflow = stored.workflow_name if stored is not None else ""
    if as_json:
        told = {
            "workflowId": workflow_id,
            "workflow": workflow,
            "runId": run_id,
            "user": row.result.received if row.result is not None else None,
            "tasks": [task.received for task in row.tasks],
        }
        print(json.dumps(told))
    else:
        for line in _lines(row, workflow or workflow_id, run_id, now_ticks()):
            print(line)
    return ExitCode.DONE


async def _users(workspace: Workspace, workflow_id: str, run_id: str) -> list[UserRow]:
    client, steady = workspace.client, pace()
    users = [
        UserResult(item)
        async for page in client.results.of_users(workflow_id, run_id, pace=steady)
        for item in page.items
    ]  # fmt: skip
    tasks = [
        TaskResult(item)
        async for page in client.results.of_tasks(workflow_id, run_id, pace=steady)
        for item in page.items
    ]  # fmt: skip
    return user_rows(users, tasks)


def _the_one(rows: Sequence[UserRow], user: str) -> UserRow:
    found = users_named(rows, user)
    if len(found) == 1:
        return found[0]
    if not found:
        raise RuntuiError("No such user", f"None of the {len(rows)} users of this run is called {user!r}.")
    names = ", ".join(f"{row.name} ({row.id})" for row in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    raise UsageError("Which user?", f"{user!r} fits {len(found)} users: {names}{more}.", "Name one by its id.")


async def _extensions(workspace: Workspace, tasks: Sequence[TaskResult]) -> Mapping[str, Extension]:
    """The custom task extensions that are waited for, as far as they can be read."""
    found = {}
    for task in tasks:
        if task.is_waiting and task.extension_id:
            received = await workspace.client.custom_task_extension(task.extension_id)
            if received is not None:
                found[task.extension_id] = extension_of(received)
    return found


def _lines(row: UserRow, workflow: str, run_id: str, now: int) -> Iterator[str]:
    """A heading for the user, and each task with what it has to say below it."""
    facts = {
        "user": row.name,
        "user principal name": row.user_principal_name,
        "id": row.id if row.name != row.id else "",
        "status": row.status,
        "workflow": workflow,
        "run": run_id,
    }
    for name, value in facts.items():
        if value:
            yield visible(f"{name:27} {value}")
    if not row.tasks:
        yield "No task of this user has begun."
    tasks = [row.row_of(task) for task in row.tasks]
    for line, task in zip(aligned([_cells(task, now) for task in tasks]), tasks, strict=True):
        yield line
        said = (task.said(now), task.result.processing_info)
        yield from (visible(f"      {words}") for words in dict.fromkeys(said) if words)


def _cells(row: TaskRow, now: int) -> Sequence[str]:
    task = row.result
    began = f"{local_text(task.started)} ({since(task.started, now)})" if task.started is not None else "not begun"
    took = f"took {duration_text(task.took)}" if task.took is not None else ""
    return (f"{task.sequence or '?'}", f"{status_look(task.status).glyph} {task.status}", task.task_name, began, took)
